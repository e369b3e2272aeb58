"""Serves a linear regression with the requests and answers of SageMaker's built-in linear learner.

CSV rows of features in; `{"predictions": [{"score": …}]}` out, or one score a line for text/csv.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

MODEL_FILE = "linear-model.json"


@dataclass(frozen=True)
class LinearModel:
    bias: float
    weights: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        return features @ self.weights + self.bias


def open_model(content: str) -> LinearModel:
    parsed = json.loads(content)
    return LinearModel(parsed["bias"], np.asarray(parsed["weights"]))


def model_fn(model_dir: str) -> LinearModel:
    return open_model((Path(model_dir) / MODEL_FILE).read_text(encoding="utf-8"))


def input_fn(input_data: str | bytes, content_type: str) -> np.ndarray:
    if content_type.split(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported: send text/csv")
    text = input_data.decode("utf-8") if isinstance(input_data, (bytes, bytearray)) else input_data
    return np.genfromtxt(StringIO(text), delimiter=",", ndmin=2)


def predict_fn(features: np.ndarray, model: LinearModel) -> np.ndarray:
    if features.shape[1] != len(model.weights):
        raise ValueError(f"a row has {features.shape[1]} fields, the model takes {len(model.weights)}")
    return model.predict(features)


def output_fn(predictions: np.ndarray, accept: str) -> tuple[str, str]:
    """The answer and its type: a text alone goes out as text/html from an endpoint of one model."""
    if accept.split(";")[0].strip().lower() == "text/csv":
        return "".join(f"{score:.9g}\n" for score in predictions), "text/csv"
    scores = [{"score": float(score)} for score in predictions]
    return json.dumps({"predictions": scores}), "application/json"
