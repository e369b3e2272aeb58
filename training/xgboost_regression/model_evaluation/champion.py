"""The model that serves today, opened from its archive to be scored on the new test rows."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Callable

import numpy as np


class NotComparable(Exception):
    """The champion cannot be scored on these rows; the message says why."""


def score_champion(channel: str | None, score: Callable[[Path], np.ndarray]) -> np.ndarray | None:
    """The champion's predictions of the test rows; None when there is none, or it says why not.

    `score` gets the folder of the channel. Whatever it raises is told and not raised: a broken
    champion must not keep its successor from being trained.
    """
    if not channel:
        return None
    try:
        return score(Path(channel))
    except NotComparable as error:
        reason = str(error)
    except Exception as error:
        reason = f"its artifact cannot be read ({error})"
    print(f"champion not scored: {reason}")
    return None


def read_archive(channel: Path) -> Callable[[str], bytes]:
    """Reads files of the one archive in the channel by their names; ValueError if there is none."""
    archives = sorted(channel.rglob("*.tar.gz"))
    if len(archives) != 1:
        raise ValueError(f"the champion channel holds {len(archives)} archives, not one")

    def content(name: str) -> bytes:
        # Read in place: nothing of the archive is ever written to the disk.
        with tarfile.open(archives[0], "r:gz") as archive:
            files = {os.path.normpath(m.name): m for m in archive.getmembers() if m.isfile()}
            member = archive.extractfile(files[name]) if name in files else None
            if member is None:
                raise ValueError(f"it holds no {name}")
            return member.read()

    return content
