"""Trains one XGBoost regression, scores it and the champion on held-out rows, prints the metrics.

    python train.py --train DIR --validation DIR --test DIR --schema DIR --model-dir DIR

Each data folder holds data.csv: no header, target first, then the columns of the schema folder's
columns.json; an empty field is a missing value. With `--champion DIR` the folder's archive is
scored beside the new model. On SageMaker the folders come from the channels of the same names.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from champion import champion_predictions
from columns import COLUMNS_FILE, Column, Columns, read_columns, write_columns
from dataset import Dataset, encode, load
from inference import MODEL_FILE, Model, open_model
from model_evaluation import (
    Comparison,
    Predicted,
    changes_by_segment,
    figures,
    print_figures,
    read_comparison,
    score_champion,
    write_segments,
)


@dataclass(frozen=True)
class HyperParameters:
    """XGBoost's names and meanings. `early_stopping_rounds` 0 trains all rounds."""

    num_round: int = 100
    early_stopping_rounds: int = 10
    eta: float = 0.15
    max_depth: int = 5
    min_child_weight: float = 5.0
    subsample: float = 0.9
    colsample_bytree: float = 0.9
    colsample_bylevel: float = 1.0
    alpha: float = 0.0
    reg_lambda: float = 1.0
    gamma: float = 0.0
    max_delta_step: float = 0.0
    max_bin: int = 128
    seed: int = 1

    def booster_params(self) -> dict[str, Any]:
        params = {f.name: getattr(self, f.name) for f in fields(self)}
        del params["num_round"], params["early_stopping_rounds"]
        return {**params, "objective": "reg:squarederror", "tree_method": "hist"}


def main() -> None:
    args = parse_args()
    schema = read_columns((Path(args.schema) / COLUMNS_FILE).read_text(encoding="utf-8"))
    comparison = read_comparison(
        Path(args.schema), [column.name for column in schema.features]
    )
    train = load("train", args.train, schema)
    validation = load("validation", args.validation, schema)
    test = load("test", args.test, schema)

    columns = learn_categories(schema, train)
    hyperparameters = HyperParameters(
        **{field.name: getattr(args, field.name) for field in fields(HyperParameters)}
    )
    booster = fit(columns, train, validation, hyperparameters, args.nthread)
    artifact = bytes(booster.save_raw("json"))
    # Scored as it will be served: from the bytes of the artifact.
    model = open_model(artifact, columns_text(columns, Path(args.model_dir)))
    champion = score_champion(
        args.champion, lambda channel: champion_predictions(channel, schema, test)
    )
    report(model, (train, validation, test), champion, comparison, Path(args.output_data_dir))
    # Last: a model file implies that every step before it succeeded.
    (Path(args.model_dir) / MODEL_FILE).write_bytes(artifact)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for name in ("train", "validation", "test", "schema"):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--champion", default=os.environ.get("SM_CHANNEL_CHAMPION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--nthread", type=int, default=int(os.environ.get("SM_NUM_CPUS", "1")))
    for field in fields(HyperParameters):
        # `lambda` is a Python keyword, so the field has scikit-learn's name for it.
        flag = "lambda" if field.name == "reg_lambda" else field.name
        parser.add_argument(
            f"--{flag}", dest=field.name, type=type(field.default), default=field.default
        )
    return parser.parse_args()


def learn_categories(schema: Columns, train: Dataset) -> Columns:
    """Only what the training rows hold: a category first seen later is a missing value."""

    def learn(column: Column) -> Column:
        if column.type != "category":
            return column
        return replace(column, categories=sorted(train.rows[column.name].dropna().unique()))

    return replace(schema, features=[learn(column) for column in schema.features])


def fit(
    columns: Columns,
    train: Dataset,
    validation: Dataset,
    hyperparameters: HyperParameters,
    nthread: int,
) -> xgb.Booster:
    def matrix(dataset: Dataset) -> xgb.DMatrix:
        return xgb.DMatrix(
            encode(dataset.rows, columns),
            label=dataset.target,
            feature_types=columns.feature_types,
            enable_categorical=True,
            nthread=nthread,
        )

    callbacks = []
    if hyperparameters.early_stopping_rounds > 0:
        # save_best cuts off the rounds after the best one: serving then needs no iteration range.
        callbacks.append(
            xgb.callback.EarlyStopping(rounds=hyperparameters.early_stopping_rounds, save_best=True)
        )
    params = {
        **hyperparameters.booster_params(),
        "base_score": float(train.target.mean()),  # XGBoost before 2.0 would start from 0.5.
        "nthread": nthread,
    }
    return xgb.train(
        params,
        matrix(train),
        num_boost_round=hyperparameters.num_round,
        evals=[(matrix(validation), "validation")],
        callbacks=callbacks,
        verbose_eval=False,
    )


def report(
    model: Model,
    datasets: tuple[Dataset, Dataset, Dataset],
    champion: np.ndarray | None,
    comparison: Comparison,
    output: Path,
) -> None:
    """Prints the figures; which values of the segments fare worse goes to the job's output."""
    train, validation, test = datasets

    def predicted(dataset: Dataset) -> Predicted:
        return Predicted(dataset.target, model.predict(encode(dataset.rows, model.columns)))

    judged = predicted(test)
    segments: dict[str, list[dict[str, Any]]] = {}
    if champion is not None and comparison.segments:
        of_champion = champion - test.target
        segments = changes_by_segment(test.rows, judged.errors, of_champion, comparison)
        write_segments(output, comparison, segments)
    print_figures(
        figures(
            train=train.target,
            validation=predicted(validation),
            test=judged,
            champion=champion,
            comparison=comparison,
            segments=list(segments.values()),
        )
    )


def columns_text(columns: Columns, model_dir: Path) -> str:
    """Writes the artifact's columns.json and returns what it says."""
    model_dir.mkdir(parents=True, exist_ok=True)
    write_columns(columns, model_dir / COLUMNS_FILE)
    return (model_dir / COLUMNS_FILE).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
