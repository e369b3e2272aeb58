"""Reads the rows of one channel, and refuses what would train a wrong model without a word."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from columns import Columns
from model_evaluation import DataError


@dataclass(frozen=True)
class Dataset:
    """The rows of one channel, fields still as read, and their targets."""

    channel: str
    rows: pd.DataFrame
    target: np.ndarray


def load(channel: str, folder: str, schema: Columns) -> Dataset:
    """Reads `folder`/data.csv: target first, then the features in the schema's order."""
    path = Path(folder) / "data.csv"
    if not path.exists():
        raise DataError(f'channel "{channel}" has no data.csv')
    with path.open(newline="", encoding="utf-8") as file:
        first = next(csv.reader(file), None)
    if first is None:
        raise DataError(f'channel "{channel}" has no rows: every split needs at least one')
    names = [schema.target] + [column.name for column in schema.features]
    if len(first) != len(names):
        raise DataError(
            f'channel "{channel}": data.csv has {len(first)} columns, columns.json makes it '
            f"{len(names)} (target first): {', '.join(names)}"
        )
    categories = {column.name for column in schema.features if column.type == "category"}
    rows = read_csv(channel, path, names, categories)
    for name in names:
        if name not in categories:
            refuse_infinite(channel, rows[name])
    target = rows.pop(schema.target).to_numpy(dtype=np.float32)
    missing = np.flatnonzero(np.isnan(target))
    if missing.size:
        raise DataError(
            f'channel "{channel}": target "{schema.target}" is NULL or NaN in {missing.size} of '
            f"{target.size} rows, first in row {missing[0] + 1}: leave such rows out in the query"
        )
    return Dataset(channel, rows, target)


def read_csv(channel: str, path: Path, names: list[str], categories: set[str]) -> pd.DataFrame:
    options: dict[str, Any] = {
        "header": None,
        "names": names,
        "index_col": False,
        # Only an empty field is missing: "NA" may well be somebody's category.
        "keep_default_na": False,
        "na_values": {name: [""] if name in categories else ["", "NaN"] for name in names},
        "float_precision": "round_trip",  # As Python's float(), which serving uses.
    }
    kinds = {name: str if name in categories else np.float64 for name in names}
    try:
        return pd.read_csv(path, dtype=kinds, **options)
    except ValueError as error:
        text = pd.read_csv(path, dtype=str, **options)
        for name in names:
            if name in categories:
                continue
            wrong = text[name][
                pd.to_numeric(text[name], errors="coerce").isna() & text[name].notna()
            ]
            if len(wrong):
                raise DataError(
                    f'channel "{channel}": column "{name}" is not a number in row '
                    f"{wrong.index[0] + 1}: {wrong.iloc[0]!r}"
                ) from None
        raise DataError(f'channel "{channel}": data.csv cannot be read: {error}') from error


def refuse_infinite(channel: str, column: pd.Series) -> None:
    infinite = np.flatnonzero(np.isinf(column.to_numpy(dtype=np.float32)))
    if infinite.size:
        raise DataError(
            f'channel "{channel}": column "{column.name}" is infinite, or too large for 32 bits, '
            f"in {infinite.size} rows, first in row {infinite[0] + 1}"
        )


def encode(rows: pd.DataFrame, columns: Columns) -> np.ndarray:
    """As RowEncoder does for a request, for whole columns."""
    matrix = np.empty((len(rows), len(columns.features)), dtype=np.float32)
    for index, column in enumerate(columns.features):
        values = rows[column.name]
        if column.type == "category":
            codes = pd.Categorical(values, categories=column.categories).codes
            matrix[:, index] = np.where(codes < 0, np.nan, codes)
        else:
            matrix[:, index] = values.to_numpy(dtype=np.float32)
    return matrix
