"""Serves all models of one archive: a row's prediction is the mean of theirs."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Callable, Mapping

import numpy as np
import xgboost as xgb
from catboost import CatBoostRegressor

CATBOOST_FILE = "catboost-model.cbm"
XGBOOST_FILE = "xgboost-model.json"

Predict = Callable[[np.ndarray], np.ndarray]


def open_catboost(content: bytes) -> Predict:
    model = CatBoostRegressor()
    model.load_model(blob=content)
    return lambda features: model.predict(features, thread_count=1)


def open_xgboost(content: bytes) -> Predict:
    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return lambda features: booster.inplace_predict(features.astype(np.float32))


OPENERS = {CATBOOST_FILE: open_catboost, XGBOOST_FILE: open_xgboost}


def open_ensemble(files: Mapping[str, bytes]) -> list[Predict]:
    """Of the models that are there, by their files' names."""
    return [OPENERS[name](files[name]) for name in OPENERS if name in files]


def blend(ensemble: list[Predict], features: np.ndarray) -> np.ndarray:
    predictions = [predict(features) for predict in ensemble]
    return np.mean(np.asarray(predictions, dtype=np.float64), axis=0)


def model_fn(model_dir: str) -> list[Predict]:
    folder = Path(model_dir)
    return open_ensemble(
        {name: (folder / name).read_bytes() for name in OPENERS if (folder / name).exists()}
    )


def input_fn(input_data: str | bytes, content_type: str) -> np.ndarray:
    if content_type.split(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported: send text/csv")
    text = input_data.decode("utf-8") if isinstance(input_data, (bytes, bytearray)) else input_data
    if not text.strip():
        raise ValueError("the request holds no rows")
    return np.genfromtxt(StringIO(text), delimiter=",", ndmin=2)


def predict_fn(features: np.ndarray, ensemble: list[Predict]) -> np.ndarray:
    return blend(ensemble, features)


def output_fn(predictions: np.ndarray, accept: str) -> tuple[str, str]:
    """The answer and its type: a text alone goes out as text/html from an endpoint of one model."""
    if accept.split(";")[0].strip().lower() == "application/json":
        return json.dumps(predictions.tolist()), "application/json"
    return "".join(f"{prediction:.9g}\n" for prediction in predictions), "text/csv"
