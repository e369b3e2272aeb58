"""Fits what prepares every location's rows: numbers are scaled, 'y' and 'n' and other texts become numbers.

    python preprocess.py --train DIR --schema DIR --model-dir DIR

Below the train folder lie all customers' rows: CSV without a header, the target first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

COLUMNS_FILE = "columns.json"
TRANSFORMER_FILE = "transformer.joblib"


def main() -> None:
    args = parse_args()
    schema = json.loads((Path(args.schema) / COLUMNS_FILE).read_text(encoding="utf-8"))
    rows = read_rows(Path(args.train), schema)
    of_type = {
        kind: [column["name"] for column in schema["columns"] if column["type"] == kind]
        for kind in ("number", "category")
    }
    transformer = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), of_type["number"]),
            # Of two values one column tells all. A value that was never seen is none of them.
            (
                "categories",
                OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
                of_type["category"],
            ),
        ],
        sparse_threshold=0,
    )
    transformer.fit(rows.drop(columns=schema["target"]))
    print(f"fitted on {len(rows)} rows: {', '.join(transformer.get_feature_names_out())}")
    folder = Path(args.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(args.schema) / COLUMNS_FILE, folder / COLUMNS_FILE)
    joblib.dump(transformer, folder / TRANSFORMER_FILE)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "schema"):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    return parser.parse_args()


def read_rows(folder: Path, schema: dict) -> pd.DataFrame:
    names = [schema["target"], *(column["name"] for column in schema["columns"])]
    texts = {column["name"]: str for column in schema["columns"] if column["type"] == "category"}
    files = sorted(path for path in folder.rglob("*.csv"))
    if not files:
        raise ValueError(f"there are no rows below {folder}")
    return pd.concat(
        pd.read_csv(path, header=None, names=names, dtype=texts, keep_default_na=False, na_values=[""])
        for path in files
    )


if __name__ == "__main__":
    main()
