"""Installs a submit directory's requirements, or the package it is, beside the container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class InstallError(Exception):
    """pip failed; `reason` is its own last word on why."""

    def __init__(self, exit_code: int, reason: str, command: list[str]) -> None:
        super().__init__(f"pip failed with exit code {exit_code}: {reason}")
        self.exit_code = exit_code
        self.reason = reason
        self.command = command


def has_requirements(code: Path) -> bool:
    return (code / "requirements.txt").exists()


def is_package(code: Path) -> bool:
    return (code / "setup.py").exists()


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
    reason = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.startswith("ERROR:"):
            reason = line.strip()
    exit_code = process.wait()
    if exit_code != 0:
        raise InstallError(exit_code, reason, command)
    paths = [str(target), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    sys.path.insert(0, str(target))
