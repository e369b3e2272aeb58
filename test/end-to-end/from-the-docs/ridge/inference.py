"""Serves a ridge regression: rows of numbers in, one prediction a line out."""

import io
from pathlib import Path

import joblib
import numpy as np

MODEL_FILE = "ridge.joblib"


def from_archive(channel):
    from model_evaluation import read_archive

    return joblib.load(io.BytesIO(read_archive(channel)(MODEL_FILE)))


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / MODEL_FILE)


def input_fn(body, content_type):
    text = body.decode() if isinstance(body, (bytes, bytearray)) else body
    return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)


def predict_fn(rows, model):
    return model.predict(rows)


def output_fn(predictions, accept):
    return "".join(f"{prediction:.9g}\n" for prediction in predictions), "text/csv"
