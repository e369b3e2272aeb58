"""The same fits without anything around them: a pool of processes over a folder of customer files.

usage: plain_pool.py FOLDER PROCESSES

FOLDER holds what a sharded job is given: <customer>.csv with rows `channel,value,time`. Every customer's
model is fitted and asked for its validation and test hours, as the job does; nothing is judged or kept.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

sources = Path(__file__).resolve().parents[2] / "training"
sys.path[:0] = [str(sources / "prophet_forecast"), str(sources / "xgboost_regression")]

import pandas as pd  # noqa: E402
from forecaster import Forecaster, HyperParameters, fit  # noqa: E402


def forecast(path: Path) -> int:
    rows = pd.read_csv(path, header=None, names=["channel", "value", "time"])
    times = pd.to_datetime(rows["time"])
    train = rows["channel"] == "train"
    prophet = fit(times[train], rows["value"][train].to_numpy(), HyperParameters())
    model = Forecaster(prophet, "value", times.max())
    return sum(
        len(model.predict(times[rows["channel"] == channel])) for channel in ("validation", "test")
    )


def main() -> None:
    folder, processes = Path(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        predictions = sum(pool.imap_unordered(forecast, sorted(folder.glob("*.csv"))))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "predictions": predictions}))


if __name__ == "__main__":
    main()
