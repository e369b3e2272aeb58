"""One Prophet model: how it is fitted, kept in an artifact, and asked for values."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import pandas as pd
from prophet import Prophet
from prophet.serialize import model_from_json, model_to_json

MODEL_FILE = "prophet-model.json"
SERIES_FILE = "series.json"

# They tell every fit twice, and a first optimizer that gave way to the second as an error.
for name in ("cmdstanpy", "prophet", "prophet.models"):
    logger = logging.getLogger(name)
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False


@dataclass(frozen=True)
class HyperParameters:
    """Prophet's names and meanings; the orders are those of the daily and weekly Fourier series."""

    changepoint_prior_scale: float = 0.05
    seasonality_prior_scale: float = 10.0
    seasonality_mode: str = "additive"
    n_changepoints: int = 5
    daily_order: int = 4
    weekly_order: int = 3
    seed: int = 1


@dataclass(frozen=True)
class Forecaster:
    """A fitted model, what it predicts, and up to when its customer's values were known."""

    prophet: Prophet
    target: str
    known_until: pd.Timestamp

    def predict(self, times: pd.Series) -> np.ndarray:
        frame = self.prophet.predict(pd.DataFrame({"ds": times.to_numpy()}))
        return frame["yhat"].to_numpy(dtype=np.float64)


def fit(times: pd.Series, values: np.ndarray, given: HyperParameters) -> Prophet:
    """A season is only looked for where the rows hold two of it."""
    days = (times.max() - times.min()) / pd.Timedelta(days=1)
    prophet = Prophet(
        changepoint_prior_scale=given.changepoint_prior_scale,
        seasonality_prior_scale=given.seasonality_prior_scale,
        seasonality_mode=given.seasonality_mode,
        n_changepoints=given.n_changepoints,
        daily_seasonality=given.daily_order if days >= 2 else False,
        weekly_seasonality=given.weekly_order if days >= 14 else False,
        yearly_seasonality=10 if days >= 730 else False,
        uncertainty_samples=0,  # Only the forecast itself is asked for: half of the time.
    )
    # Its own folder: thousands of fits would leave as many files behind.
    with tempfile.TemporaryDirectory() as scratch:
        frame = pd.DataFrame({"ds": times.to_numpy(), "y": values})
        prophet.fit(frame, seed=given.seed, output_dir=scratch)
    # A forecast needs the ends of the history only; with all of it an artifact is a hundred times larger.
    ends = prophet.history.iloc[[0, -1]].reset_index(drop=True)
    prophet.history, prophet.history_dates = ends, ends["ds"]
    prophet.params.pop("trend", None)  # Of every row of the history, too.
    return prophet


def write_artifact(forecaster: Forecaster, path: Path) -> None:
    """The same model gives the same bytes but for gzip's time."""
    series = {
        "target": forecaster.target,
        "knownUntil": forecaster.known_until.isoformat(),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            (MODEL_FILE, model_to_json(forecaster.prophet)),
            (SERIES_FILE, json.dumps(series)),
        ):
            content = text.encode("utf-8")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def open_archive(path: Path) -> Forecaster:
    """Read in place: nothing of the archive is ever written to the disk."""
    with tarfile.open(path, "r:gz") as archive:
        files = {os.path.normpath(m.name): m for m in archive.getmembers() if m.isfile()}

        def content(name: str) -> bytes:
            member = archive.extractfile(files[name]) if name in files else None
            if member is None:
                raise ValueError(f"it holds no {name}")
            return member.read()

        return open_forecaster(content)


def open_forecaster(content: Callable[[str], bytes]) -> Forecaster:
    """`content` gives the bytes of a file of the artifact by its name."""
    series = json.loads(content(SERIES_FILE))
    return Forecaster(
        prophet=model_from_json(content(MODEL_FILE).decode("utf-8")),
        target=series["target"],
        known_until=pd.Timestamp(series["knownUntil"]),
    )
