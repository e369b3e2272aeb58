"""One customer's rows, and what would train a wrong model without a word."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from model_evaluation import DataError

CHANNELS = ("train", "validation", "test")

# What pandas is left to read. Before version 2 it would also take "7/3/2025" for a time, by guessing.
ISO_8601 = r"\d{4}-(0[1-9]|1[0-2])-\d\d([T ]\d\d|$)"

# Since version 2 it takes the first row's form for that of all, unless it is told otherwise.
EACH_ROW_FOR_ITSELF = {"format": "ISO8601"} if int(pd.__version__.split(".")[0]) >= 2 else {}


@dataclass(frozen=True)
class Schema:
    """The target's name, and that of the only feature: the time."""

    target: str
    time: str


@dataclass(frozen=True)
class Rows:
    """Times and values of one channel."""

    times: pd.Series
    values: np.ndarray


def read_schema(parsed: dict) -> Schema:
    """From columns.json. Throws DataError when there is another feature beside the time."""
    names = [column["name"] for column in parsed["columns"]]
    if len(names) != 1:
        raise DataError(
            f"a forecast has one feature, the time: select nothing else beside customer and target, "
            f"not {', '.join(names)}"
        )
    return Schema(parsed["target"], names[0])


def read_customer(path: Path, schema: Schema) -> dict[str, Rows]:
    """By channel. Rows are `channel,target,time`, each channel's in the order of the file."""
    try:
        frame = pd.read_csv(
            path,
            header=None,
            names=["channel", "value", "time"],
            dtype={"channel": str, "value": np.float64, "time": str},
            keep_default_na=False,
            na_values={"value": ["", "NaN"]},
            float_precision="round_trip",
            quoting=csv.QUOTE_MINIMAL,
        )
    except ValueError as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    unusable = np.flatnonzero(~np.isfinite(frame["value"].to_numpy()))
    if unusable.size:
        raise DataError(
            f'target "{schema.target}" is NULL, NaN or infinite in {unusable.size} of '
            f"{len(frame)} rows, first in row {unusable[0] + 1}"
        )
    times = read_times(frame["time"], schema.time)
    rows = {}
    for channel in CHANNELS:
        chosen = (frame["channel"] == channel).to_numpy()
        if not chosen.any():
            raise DataError(f'channel "{channel}" has no rows: every split needs at least one')
        rows[channel] = Rows(times[chosen], frame["value"].to_numpy()[chosen])
    return rows


def read_times(texts: pd.Series, name: str) -> pd.Series:
    """ISO 8601, or seconds since 1970; always UTC, and without a time zone, as Prophet wants it."""
    texts = texts.reset_index(drop=True)
    seconds = pd.to_numeric(texts, errors="coerce")
    if seconds.notna().all():
        return pd.to_datetime(seconds, unit="s")
    iso = texts.where(texts.str.match(ISO_8601))
    times = pd.to_datetime(iso, errors="coerce", utc=True, **EACH_ROW_FOR_ITSELF)
    bad = np.flatnonzero(times.isna().to_numpy())
    if bad.size:
        raise DataError(
            f'column "{name}" is no time in row {bad[0] + 1}: {texts[bad[0]]!r} '
            "(ISO 8601, such as 2025-03-01T14:00:00, or seconds since 1970)"
        )
    return times.dt.tz_localize(None)
