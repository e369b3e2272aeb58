"""The checkpoint folder: what is whole in it is done, and goes to S3 while the job runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable


class Checkpoints:
    """`<customer>.tar.gz` and `<customer>.json` of every customer that is done, by whichever job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def line(self, customer: str) -> str | None:
        """What an earlier job told of a customer whose model it made; None when there is none."""
        told = self.folder / f"{customer}.json"
        if not (told.exists() and (self.folder / f"{customer}.tar.gz").exists()):
            return None
        text = told.read_text(encoding="utf-8").strip()
        try:
            # Of a job that was cut off, S3 may hold half a file.
            return text if json.loads(text).get("customer") == customer else None
        except ValueError:
            return None

    def keep(self, customer: str, told: dict[str, Any], write_artifact: Callable[[Path], None]) -> str:
        """Artifact first: a line means that its model is there."""
        self._whole(f"{customer}.tar.gz", write_artifact)
        line = to_line(told)
        self._whole(f"{customer}.json", lambda path: _write(path, line))
        return line

    def _whole(self, name: str, write: Callable[[Path], None]) -> None:
        """Nobody sees half a file: it gets its name when it is complete."""
        partial = self.folder / f".{name}.{os.getpid()}"
        write(partial)
        os.replace(partial, self.folder / name)


def to_line(told: dict[str, Any]) -> str:
    """One line of JSON; NaN is none, and raises ValueError."""
    return json.dumps(told, allow_nan=False, separators=(",", ":"))


def _write(path: Path, line: str) -> None:
    path.write_text(line + "\n", encoding="utf-8")
