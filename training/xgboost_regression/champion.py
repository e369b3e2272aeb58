"""The model that serves today, opened from its archive to be scored on the new test rows."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np

from columns import COLUMNS_FILE, Columns
from dataset import Dataset
from inference import MODEL_FILE, Model, open_model


def open_champion(channel: Path) -> Model:
    archives = sorted(channel.rglob("*.tar.gz"))
    if len(archives) != 1:
        raise ValueError(f"the champion channel holds {len(archives)} archives, not one")
    # Read in place: nothing of the archive is ever written to the disk.
    with tarfile.open(archives[0], "r:gz") as archive:
        files = {os.path.normpath(m.name): m for m in archive.getmembers() if m.isfile()}

        def content(name: str) -> bytes:
            member = archive.extractfile(files[name]) if name in files else None
            if member is None:
                raise ValueError(f"it holds no {name}")
            return member.read()

        return open_model(content(MODEL_FILE), content(COLUMNS_FILE).decode("utf-8"))


def incompatibility(champion: Columns, schema: Columns, test: Dataset) -> str | None:
    """Why the champion cannot be scored on these rows, if so; other columns may come and go."""
    if champion.target != schema.target:
        return f'it predicts "{champion.target}", not "{schema.target}"'
    for column in champion.features:
        if column.name not in test.rows.columns:
            return f'it needs column "{column.name}", which the data no longer has'
        is_number = test.rows[column.name].dtype == np.float64
        if is_number != (column.type == "number"):
            return f'column "{column.name}" was a {column.type} when it was trained, and is not now'
    return None
