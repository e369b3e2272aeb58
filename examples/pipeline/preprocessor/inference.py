"""Prepares raw rows as they were fitted: CSV in, CSV of numbers out, one line for each row.

Before an endpoint's models the rows have no target. In batch transform, where they become training
data, they have it first, and keep it first.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer


@dataclass(frozen=True)
class Preprocessor:
    transformer: ColumnTransformer
    target: str
    features: list[dict]


def model_fn(model_dir: str) -> Preprocessor:
    folder = Path(model_dir)
    schema = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    transformer = joblib.load(folder / "transformer.joblib")
    return Preprocessor(transformer, schema["target"], schema["columns"])


def input_fn(input_data: str | bytes, content_type: str) -> str:
    if content_type.split(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported: send text/csv")
    return input_data.decode("utf-8") if isinstance(input_data, (bytes, bytearray)) else input_data


def predict_fn(text: str, model: Preprocessor) -> np.ndarray:
    labelled = os.environ.get("SAGEMAKER_BATCH") == "true"
    names = [model.target] if labelled else []
    names += [column["name"] for column in model.features]
    texts = {column["name"]: str for column in model.features if column["type"] == "category"}
    options = {"header": None, "dtype": texts, "keep_default_na": False, "na_values": [""]}
    rows = pd.read_csv(StringIO(text), **{**options, "dtype": None})
    if rows.shape[1] != len(names):
        raise ValueError(
            f"a row has {rows.shape[1]} fields, the preprocessor takes {len(names)}: "
            f"{', '.join(names)}"
        )
    rows = pd.read_csv(StringIO(text), names=names, **options)
    prepared = model.transformer.transform(rows[[column["name"] for column in model.features]])
    return np.column_stack([rows[model.target], prepared]) if labelled else prepared


def output_fn(prepared: np.ndarray, accept: str) -> tuple[str, str]:
    """The answer and its type, which the next container gets: a text alone would reach it as text/html."""
    rows = (",".join(f"{value:.12g}" for value in row) + "\n" for row in prepared)
    return "".join(rows), "text/csv"
