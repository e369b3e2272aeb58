"""Serves an artifact of train.py: a period in and a forecast out, or times in and values out.

    application/json  {"period": 7}                     the next 7 days, a value a day
                      {"period": 48, "frequency": "h"}  the next 48 hours
    text/csv          2025-03-01T14:00:00               one time a row; one prediction a line
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd

from customer import read_times
from forecaster import Forecaster, open_forecaster

FREQUENCIES = {"D": "days", "h": "hours"}
LONGEST_PERIOD = 10_000


def model_fn(model_dir: str) -> Forecaster:
    folder = Path(model_dir)
    return open_forecaster(lambda name: (folder / name).read_bytes())


def input_fn(input_data: str | bytes, content_type: str) -> dict | pd.Series:
    text = input_data.decode("utf-8") if isinstance(input_data, (bytes, bytearray)) else input_data
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == "application/json":
        return read_period(json.loads(text))
    if media_type != "text/csv":
        raise ValueError(
            f"content type {content_type!r} is not supported: send application/json or text/csv"
        )
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if not rows:
        raise ValueError("the request holds no rows")
    wide = next((number for number, row in enumerate(rows, start=1) if len(row) != 1), None)
    if wide is not None:
        raise ValueError(f"row {wide} has {len(rows[wide - 1])} fields, the model takes the time only")
    return read_times(pd.Series([row[0] for row in rows]), "time")


def read_period(request: object) -> dict:
    asked = request if isinstance(request, dict) else {}
    period, frequency = asked.get("period"), asked.get("frequency", "D")
    if isinstance(period, bool) or not isinstance(period, int) or not 0 < period <= LONGEST_PERIOD:
        raise ValueError(f'"period" must be a whole number from 1 to {LONGEST_PERIOD}, not {period!r}')
    if frequency not in FREQUENCIES:
        raise ValueError(f'"frequency" must be "D" or "h", not {frequency!r}')
    return {"period": period, "frequency": frequency}


def predict_fn(asked: dict | pd.Series, model: Forecaster) -> list:
    if isinstance(asked, pd.Series):
        return [float(value) for value in model.predict(asked)]
    unit = FREQUENCIES[asked["frequency"]]
    steps = range(1, asked["period"] + 1)
    times = pd.Series([model.known_until + pd.Timedelta(**{unit: step}) for step in steps])
    return [
        {"time": time.isoformat(), model.target: float(value)}
        for time, value in zip(times, model.predict(times))
    ]


def output_fn(prediction: list, accept: str) -> tuple[str, str]:
    """The answer and its type: a text alone goes out as text/html from an endpoint of one model."""
    wanted = accept.split(";")[0].strip().lower()
    is_forecast = bool(prediction) and isinstance(prediction[0], dict)
    if wanted == "application/json" or (is_forecast and wanted == "*/*"):
        return json.dumps({"forecast": prediction} if is_forecast else prediction), "application/json"
    if wanted not in ("text/csv", "*/*"):
        raise ValueError(f"accept {accept!r} is not supported: ask for application/json or text/csv")
    if not is_forecast:
        return "".join(f"{value!r}\n" for value in prediction), "text/csv"
    rows = (",".join(str(field) for field in one.values()) for one in prediction)
    return "".join(f"{row}\n" for row in rows), "text/csv"
