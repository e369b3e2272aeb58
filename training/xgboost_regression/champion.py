"""The model that serves today, scored on the new test rows by its own columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from columns import COLUMNS_FILE, Columns
from dataset import Dataset, encode
from inference import MODEL_FILE, open_model
from model_evaluation import NotComparable, read_archive


def champion_predictions(channel: Path, schema: Columns, test: Dataset) -> np.ndarray:
    """Throws NotComparable when the champion does not fit the data, ValueError when it is broken."""
    content = read_archive(channel)
    model = open_model(content(MODEL_FILE), content(COLUMNS_FILE).decode("utf-8"))
    reason = incompatibility(model.columns, schema, test)
    if reason is not None:
        raise NotComparable(reason)
    return model.predict(encode(test.rows, model.columns))


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
