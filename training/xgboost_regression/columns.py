"""The columns a model is fed with, and how CSV fields become the numbers that XGBoost sees."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np

COLUMNS_FILE = "columns.json"


@dataclass(frozen=True)
class Column:
    """One feature. `categories` of a category column are those of the training rows, sorted."""

    name: str
    type: str  # "number" or "category"
    categories: list[str] | None = None


@dataclass(frozen=True)
class Columns:
    """The target's name, and the features in the order of the CSV and of the model."""

    target: str
    features: list[Column]

    @property
    def feature_types(self) -> list[str]:
        """XGBoost's letters: c is a category's code, q a quantity."""
        return ["c" if column.type == "category" else "q" for column in self.features]


def read_columns(text: str) -> Columns:
    """Reads columns.json, as the export writes it or, with categories, as an artifact holds it."""
    parsed = json.loads(text)
    features = [Column(c["name"], c["type"], c.get("categories")) for c in parsed["columns"]]
    for column in features:
        if column.type not in ("number", "category"):
            raise ValueError(
                f'column "{column.name}" has type "{column.type}": use "number" or "category"'
            )
    if not features:
        raise ValueError("columns.json names no feature columns")
    return Columns(parsed["target"], features)


def write_columns(columns: Columns, path: Path) -> None:
    described = []
    for column in columns.features:
        entry: dict[str, object] = {"name": column.name, "type": column.type}
        if column.categories is not None:
            entry["categories"] = column.categories
        described.append(entry)
    text = json.dumps({"target": columns.target, "columns": described}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")


class RowEncoder:
    """Encodes rows of CSV fields. Empty, or a category that training never saw, means missing."""

    def __init__(self, columns: Columns) -> None:
        self.features = columns.features
        self.codes = [
            {category: float(code) for code, category in enumerate(column.categories or [])}
            if column.type == "category"
            else None
            for column in columns.features
        ]

    def encode(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        matrix = np.empty((len(rows), len(self.features)), dtype=np.float32)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(self.features):
                names = ", ".join(column.name for column in self.features)
                raise ValueError(
                    f"row {number} has {len(row)} fields, "
                    f"the model takes {len(self.features)}: {names}"
                )
            matrix[number - 1] = [
                self._number(field, index, number) if codes is None else codes.get(field, math.nan)
                for index, (field, codes) in enumerate(zip(row, self.codes))
            ]
        return matrix

    def _number(self, field: str, index: int, row: int) -> float:
        try:
            value = float(field) if field else math.nan
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise ValueError(
                f'row {row}: column "{self.features[index].name}" is not a finite number: {field!r}'
            )
        return value


def parse_csv(text: str) -> list[list[str]]:
    """Rows of fields, without the blank lines."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
