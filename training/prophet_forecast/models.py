"""Makes one customer's model: reads its rows, fits or searches, judges. Each process of the pool works here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from checkpoints import Checkpoints, to_line
from customer import Rows, Schema, read_customer
from forecaster import Forecaster, HyperParameters, fit, open_archive, write_artifact
from model_evaluation import Comparison, NotComparable, Predicted, figures, score_champion
from search import Search, Tuning, search


@dataclass(frozen=True)
class Job:
    """What all customers share."""

    customers: Path
    schema: Schema
    comparison: Comparison
    checkpoints: Checkpoints
    hyperparameters: HyperParameters
    champions: dict[str, Path] = field(default_factory=dict)
    tuning: Tuning | None = None
    searches: dict[str, Search] = field(default_factory=dict)


# Set before the pool is made: its processes inherit it, and nothing large is sent to them.
job: Job


def train_one(name: str) -> tuple[str, str | None]:
    """The customer's line, and why it failed if so: its own failure, and nobody else's."""
    begun = time.monotonic()
    try:
        told, forecaster = make_model(name)
        told["seconds"] = seconds_since(begun)
        return job.checkpoints.keep(name, told, lambda path: write_artifact(forecaster, path)), None
    except MemoryError:
        raise
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        told = {"customer": name, "failure": failure[:2000], "seconds": seconds_since(begun)}
        return to_line(told), failure


def seconds_since(begun: float) -> float:
    """What the customer's share of the job's cost goes by."""
    return round(time.monotonic() - begun, 3)


def make_model(name: str) -> tuple[dict[str, Any], Forecaster]:
    rows = read_customer(job.customers / f"{name}.csv", job.schema)
    told: dict[str, Any] = {"customer": name}
    if job.tuning is None:
        forecaster = train(rows, job.hyperparameters)
    else:
        asked = job.searches.get(name) or Search(1)
        found = search(job.tuning, asked, lambda given: attempt(rows, given))
        forecaster = found.best
        told["trials"] = found.trials
    told["metrics"] = judge(name, rows, forecaster)
    return told, forecaster


def train(rows: dict[str, Rows], hyperparameters: HyperParameters) -> Forecaster:
    known_until = max(rows[channel].times.max() for channel in rows)
    prophet = fit(rows["train"].times, rows["train"].values, hyperparameters)
    return Forecaster(prophet, job.schema.target, known_until)


def attempt(rows: dict[str, Rows], given: dict[str, str]) -> tuple[float, Forecaster]:
    """One trial: the objective's value on the validation rows, and its model."""
    known = {one.name: one for one in fields(HyperParameters)}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"unknown hyperparameters: {', '.join(unknown)}")
    chosen = {name: type(known[name].default)(value) for name, value in given.items()}
    forecaster = train(rows, HyperParameters(**{**vars(job.hyperparameters), **chosen}))
    validation = rows["validation"]
    errors = forecaster.predict(validation.times) - validation.values
    return float(np.sqrt(np.mean(np.square(errors)))), forecaster


def judge(name: str, rows: dict[str, Rows], forecaster: Forecaster) -> dict[str, float]:
    """On the rows that neither train nor search, beside the champion on the same ones."""

    def predicted(channel: str) -> Predicted:
        return Predicted(rows[channel].values, forecaster.predict(rows[channel].times))

    def score(path: Path) -> np.ndarray:
        champion = open_archive(path)
        if champion.target != job.schema.target:
            raise NotComparable(f'it predicts "{champion.target}", not "{job.schema.target}"')
        return champion.predict(rows["test"].times)

    champion = job.champions.get(name)
    return figures(
        train=rows["train"].values,
        validation=predicted("validation"),
        test=predicted("test"),
        champion=score_champion(str(champion) if champion else None, score),
        comparison=job.comparison,
    )
