"""Trains CatBoost and XGBoost on one download of the data, and judges the mean of the two.

    python train.py --train DIR --validation DIR --test DIR --schema DIR --model-dir DIR

Each kind is cross-validated on the training rows, which also tells after how many rounds it should
stop, and then trained on all of them. The channels are those that modelfleet exports: data.csv
without a header, the target first. The figures are printed one a line, as `name=value;`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from catboost import CatBoostRegressor

from cross_validation import Fold, Rows, cross_validate
from inference import CATBOOST_FILE, XGBOOST_FILE, blend, open_ensemble
from model_evaluation import (
    DataError,
    NotComparable,
    Predicted,
    figures,
    print_figures,
    read_archive,
    read_comparison,
    score_champion,
)

FEATURES_FILE = "features.json"
PATIENCE = 20  # Rounds without a better error, before a fold stops.


@dataclass(frozen=True)
class HyperParameters:
    """Of both kinds alike: they are names of one thing in either library."""

    eta: float
    max_depth: int
    num_round: int
    seed: int


def main() -> None:
    args = parse_args()
    names = feature_names(Path(args.schema))
    train, validation, test = (
        read_rows(name, Path(getattr(args, name)), names) for name in ("train", "validation", "test")
    )
    chosen = HyperParameters(args.eta, args.max_depth, args.num_round, args.seed)
    models = {
        file: train_one(train, chosen, args.k_fold)
        for kind, file, train_one in KINDS
        if kind in args.models.split(",")
    }
    # Scored as it will be served: from the bytes of the archive.
    ensemble = open_ensemble(models)
    champion = score_champion(
        args.champion, lambda channel: champion_predictions(channel, names, test)
    )
    print_figures(
        figures(
            train=train.target,
            validation=Predicted(validation.target, blend(ensemble, validation.features)),
            test=Predicted(test.target, blend(ensemble, test.features)),
            champion=champion,
            comparison=read_comparison(Path(args.schema), names),
        )
    )
    folder = Path(args.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FEATURES_FILE).write_text(json.dumps(names), encoding="utf-8")
    for file, content in models.items():
        (folder / file).write_bytes(content)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for name in ("train", "validation", "test", "schema"):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--champion", default=os.environ.get("SM_CHANNEL_CHAMPION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--eta", type=float, default=0.25)
    parser.add_argument("--max_depth", type=int, default=3)
    parser.add_argument("--num_round", type=int, default=200)
    parser.add_argument("--k_fold", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", default=",".join(kind for kind, _, _ in KINDS))
    return parser.parse_args()


def feature_names(schema: Path) -> list[str]:
    columns = json.loads((schema / "columns.json").read_text(encoding="utf-8"))["columns"]
    for column in columns:
        if column["type"] != "number":
            raise DataError(
                f'column "{column["name"]}" is a {column["type"]}: '
                "this ensemble takes numbers only, so cast it in the query"
            )
    return [column["name"] for column in columns]


def read_rows(channel: str, folder: Path, names: list[str]) -> Rows:
    table = np.genfromtxt(folder / "data.csv", delimiter=",", ndmin=2)
    if table.size == 0 or table.shape[1] != len(names) + 1:
        raise DataError(
            f'channel "{channel}": data.csv has {table.shape[1] if table.size else 0} columns, '
            f"columns.json makes it {len(names) + 1} (target first)"
        )
    return Rows(table[:, 1:], table[:, 0])


def train_catboost(rows: Rows, chosen: HyperParameters, k: int) -> bytes:
    def model(rounds: int, **more: Any) -> CatBoostRegressor:
        return CatBoostRegressor(
            iterations=rounds,
            learning_rate=chosen.eta,
            depth=chosen.max_depth,
            random_seed=chosen.seed,
            thread_count=1,
            allow_writing_files=False,
            verbose=False,
            **more,
        )

    def fit(inside: Rows, held_out: Rows) -> Fold:
        fitted = model(chosen.num_round, early_stopping_rounds=PATIENCE).fit(
            inside.features, inside.target, eval_set=(held_out.features, held_out.target)
        )
        return Fold(fitted.get_best_score()["validation"]["RMSE"], fitted.get_best_iteration() + 1)

    rounds = told("catboost", *cross_validate(fit, rows, k, chosen.seed))
    final = model(rounds).fit(rows.features, rows.target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CATBOOST_FILE
        final.save_model(str(path))
        return path.read_bytes()


def train_xgboost(rows: Rows, chosen: HyperParameters, k: int) -> bytes:
    parameters = {
        "objective": "reg:squarederror",
        "eta": chosen.eta,
        "max_depth": chosen.max_depth,
        "seed": chosen.seed,
        "nthread": 1,
    }

    def matrix(some: Rows) -> xgb.DMatrix:
        return xgb.DMatrix(some.features, label=some.target)

    def fit(inside: Rows, held_out: Rows) -> Fold:
        booster = xgb.train(
            parameters,
            matrix(inside),
            num_boost_round=chosen.num_round,
            evals=[(matrix(held_out), "held_out")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        return Fold(booster.best_score, booster.best_iteration + 1)

    rounds = told("xgboost", *cross_validate(fit, rows, k, chosen.seed))
    return bytes(xgb.train(parameters, matrix(rows), num_boost_round=rounds).save_raw("json"))


def told(kind: str, errors: list[float], rounds: int) -> int:
    print(f"{kind}: RMSE of the folds {', '.join(f'{rmse:.2f}' for rmse in errors)}; {rounds} rounds")
    return rounds


def champion_predictions(channel: Path, names: list[str], test: Rows) -> np.ndarray:
    """By its own features, wherever they stand now, and by all its models."""
    content = read_archive(channel)
    own = json.loads(content(FEATURES_FILE))
    gone = [name for name in own if name not in names]
    if gone:
        raise NotComparable(f'it needs column "{gone[0]}", which the data no longer has')
    places = [names.index(name) for name in own]
    ensemble = open_ensemble({file: content(file) for _, file, _ in KINDS})
    return blend(ensemble, test.features[:, places])


KINDS = (
    ("catboost", CATBOOST_FILE, train_catboost),
    ("xgboost", XGBOOST_FILE, train_xgboost),
)

if __name__ == "__main__":
    main()
