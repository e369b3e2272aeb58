"""Serves an artifact of train.py: rows of features in, one prediction a line out (text/csv)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost as xgb

from columns import COLUMNS_FILE, Columns, RowEncoder, parse_csv, read_columns

MODEL_FILE = "xgboost-model.json"


@dataclass(frozen=True)
class Model:
    """A booster with the columns it was trained on."""

    booster: xgb.Booster
    columns: Columns
    encoder: RowEncoder

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        # Without a DMatrix: less work per request, and safe to call from several threads at once.
        return self.booster.inplace_predict(matrix)


def open_model(model_json: bytes, columns_json: str) -> Model:
    booster = xgb.Booster()
    booster.load_model(bytearray(model_json))
    booster.set_param(
        {"nthread": 1}
    )  # Requests come in parallel: threads inside each would only queue.
    columns = read_columns(columns_json)
    return Model(booster, columns, RowEncoder(columns))


def model_fn(model_dir: str) -> Model:
    folder = Path(model_dir)
    columns_json = (folder / COLUMNS_FILE).read_text(encoding="utf-8")
    return open_model((folder / MODEL_FILE).read_bytes(), columns_json)


def input_fn(input_data: str | bytes, content_type: str) -> list[list[str]]:
    """CSV rows of the feature columns, without the target; an empty field is a missing value."""
    media_type = content_type.split(";")[0].strip().lower()
    if media_type != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported: send text/csv")
    # Some versions of SageMaker's container pass bytes, others text.
    text = input_data.decode("utf-8") if isinstance(input_data, (bytes, bytearray)) else input_data
    rows = parse_csv(text)
    if not rows:
        raise ValueError("the request holds no rows")
    return rows


def predict_fn(rows: list[list[str]], model: Model) -> np.ndarray:
    return model.predict(model.encoder.encode(rows))


def output_fn(predictions: np.ndarray, accept: str) -> tuple[str, str]:
    """The answer and its type: a text alone goes out as text/html from an endpoint of one model."""
    wanted = accept.split(";")[0].strip().lower()
    if wanted == "application/json":
        return json.dumps([float(prediction) for prediction in predictions]), wanted
    if wanted not in ("text/csv", "*/*"):
        raise ValueError(
            f"accept {accept!r} is not supported: ask for text/csv or application/json"
        )
    lines = (f"{format_prediction(prediction)}\n" for prediction in predictions)
    return "".join(lines), "text/csv"


def format_prediction(prediction: float) -> str:
    """Nine digits bring a 32-bit float back unchanged."""
    return f"{prediction:.9g}"
