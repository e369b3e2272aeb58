"""Installs a submit directory's requirements, or the package it is, beside the container."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement


ERRORS_TOLD = 3
# A failure reason has 1024 characters, pip's command line among them.
LONGEST_REASON = 500


class InstallError(Exception):
    """pip failed; `reason` is what it said of why."""

    def __init__(self, exit_code: int, reason: str, command: list[str]) -> None:
        super().__init__(f"pip failed with exit code {exit_code}: {reason}")
        self.exit_code = exit_code
        self.reason = reason
        self.command = command


def has_requirements(code: Path) -> bool:
    """Whether requirements.txt asks for anything that the interpreter does not have."""
    path = code / "requirements.txt"
    if not path.exists():
        return False
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    missing = [line for line in lines if line and not is_satisfied(line)]
    if not missing:
        print("every requirement is satisfied already", flush=True)
    return bool(missing)


def is_satisfied(line: str) -> bool:
    """As pip sees it; what is more than a name, versions and a marker is pip's to decide."""
    try:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        if wanted.url is not None or wanted.extras:
            return False
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except (InvalidRequirement, metadata.PackageNotFoundError):
        return False


def is_package(code: Path) -> bool:
    return (code / "setup.py").exists()


def told(errors: list[str]) -> str:
    """What was wrong and what came of it: pip says both, in lines of their own, some of them twice."""
    different = list(dict.fromkeys(errors))
    return " ".join(different[-ERRORS_TOLD:])[:LONGEST_REASON]


def install(code: Path, target: Path) -> None:
    """Into `target`, which this process and those it starts then see; pip's output is passed on."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--no-input", "--target", str(target)]
    command += ["."] if is_package(code) else []
    command += ["-r", "requirements.txt"] if has_requirements(code) else []
    process = subprocess.Popen(
        command, cwd=code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    errors: list[str] = []
    last_line = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last_line = line.strip() or last_line
        if line.lstrip(" ×╰─>").lower().startswith("error:"):
            errors.append(line.lstrip(" ×╰─>").strip())
    exit_code = process.wait()
    if exit_code != 0:
        raise InstallError(exit_code, told(errors) or last_line, command)
    paths = [str(target), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    sys.path.insert(0, str(target))
