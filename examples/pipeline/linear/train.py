"""Trains one location's linear regression on rows that the preprocessor has prepared.

    python train.py --train DIR --validation DIR --test DIR --schema DIR --model-dir DIR

Each data folder holds one CSV file without a header, the target first, numbers only. With
`--champion DIR` the folder's archive is scored beside the new model: on the rows of
`--champion-test DIR` if another preprocessor stood before it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from inference import MODEL_FILE, LinearModel, open_model
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


def main() -> None:
    args = parse_args()
    train, validation, test = (
        read_rows(name, Path(getattr(args, name))) for name in ("train", "validation", "test")
    )
    fitted = Ridge(alpha=args.alpha).fit(train[:, 1:], train[:, 0])
    content = json.dumps({"bias": float(fitted.intercept_), "weights": fitted.coef_.tolist()})
    # Scored as it will be served: from the bytes of the archive.
    model = open_model(content)
    for_champion = read_rows("champion_test", Path(args.champion_test)) if args.champion_test else test
    champion = score_champion(
        args.champion, lambda channel: champion_predictions(channel, for_champion)
    )
    print_figures(
        figures(
            train=train[:, 0],
            validation=Predicted(validation[:, 0], model.predict(validation[:, 1:])),
            test=Predicted(test[:, 0], model.predict(test[:, 1:])),
            champion=champion,
            comparison=read_comparison(Path(args.schema), []),
        )
    )
    folder = Path(args.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_text(content, encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for name in ("train", "validation", "test", "schema"):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--champion", default=os.environ.get("SM_CHANNEL_CHAMPION"))
    parser.add_argument("--champion-test", default=os.environ.get("SM_CHANNEL_CHAMPION_TEST"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--alpha", type=float, default=1.0)
    return parser.parse_args()


def read_rows(channel: str, folder: Path) -> np.ndarray:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if len(files) != 1:
        raise DataError(f'channel "{channel}" holds {len(files)} files, not one')
    rows = np.genfromtxt(files[0], delimiter=",", ndmin=2)
    if not np.isfinite(rows).all():
        raise DataError(f'channel "{channel}": {files[0].name} holds what is no finite number')
    return rows


def champion_predictions(channel: Path, test: np.ndarray) -> np.ndarray:
    champion: LinearModel = open_model(read_archive(channel)(MODEL_FILE).decode("utf-8"))
    if len(champion.weights) != test.shape[1] - 1:
        raise NotComparable(f"it takes {len(champion.weights)} features, not {test.shape[1] - 1}")
    return champion.predict(test[:, 1:])


if __name__ == "__main__":
    main()
