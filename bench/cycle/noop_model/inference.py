"""Serves models that do nothing: every prediction is the one that the no-op training jobs report."""

from __future__ import annotations

PREDICTION = "1"


def model_fn(model_dir: str) -> str:
    return model_dir


def input_fn(input_data: str, content_type: str) -> int:
    return len(input_data.splitlines())


def predict_fn(rows: int, model: str) -> int:
    return rows


def output_fn(rows: int, accept: str) -> str:
    return f"{PREDICTION}\n" * rows
