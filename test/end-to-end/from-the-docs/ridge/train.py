"""Ridge regression of one shop's sales."""

import argparse
import json
import os
from pathlib import Path

import joblib
import numpy as np
from model_evaluation import Predicted, figures, print_figures, read_comparison, score_champion
from sklearn.linear_model import Ridge

import inference


def rows(channel):
    table = np.loadtxt(Path(os.environ[f"SM_CHANNEL_{channel}"]) / "data.csv", delimiter=",", ndmin=2)
    return table[:, 1:], table[:, 0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float, default=1.0)
    args = parser.parse_args()
    (train, target), (seen, expected), (held_out, truth) = (
        rows(channel) for channel in ("TRAIN", "VALIDATION", "TEST")
    )
    model = Ridge(alpha=args.alpha).fit(train, target)
    schema = Path(os.environ["SM_CHANNEL_SCHEMA"])
    names = [c["name"] for c in json.loads((schema / "columns.json").read_text())["columns"]]
    print_figures(
        figures(
            train=target,
            validation=Predicted(expected, model.predict(seen)),
            test=Predicted(truth, model.predict(held_out)),
            champion=score_champion(
                os.environ.get("SM_CHANNEL_CHAMPION"),
                lambda channel: inference.from_archive(channel).predict(held_out),
            ),
            comparison=read_comparison(schema, names),
        )
    )
    joblib.dump(model, Path(os.environ["SM_MODEL_DIR"]) / inference.MODEL_FILE)


if __name__ == "__main__":
    main()
