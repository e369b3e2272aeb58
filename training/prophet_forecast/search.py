"""A search of one customer's hyperparameters inside of the job, begun with the best trials of earlier ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Tuning:
    """tuning.json: what is searched for all customers."""

    ranges: dict[str, dict[str, Any]]
    objective: str
    direction: str
    strategy: str
    seed: int = 0


@dataclass(frozen=True)
class Search:
    """A line of trials.jsonl: how much is searched for one customer, and from where."""

    max_trials: int
    seeds: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Found:
    """The best trial's outcome, and all trials as they are reported."""

    best: Any = None
    best_hyperparameters: dict[str, str] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)


def search(
    tuning: Tuning,
    asked: Search,
    attempt: Callable[[dict[str, str]], tuple[float, Any]],
) -> Found:
    """`attempt` takes hyperparameters as text, and returns the objective's value and what it made.

    Earlier trials that lie outside of today's ranges are left out. A trial that fails is reported;
    when all fail, the first failure is raised.
    """
    sampler: optuna.samplers.BaseSampler = (
        optuna.samplers.RandomSampler(seed=tuning.seed)
        if tuning.strategy == "Random"
        else optuna.samplers.TPESampler(
            seed=tuning.seed, n_startup_trials=max(2, asked.max_trials // 3)
        )
    )
    study = optuna.create_study(direction=tuning.direction, sampler=sampler)
    for seed in asked.seeds[: asked.max_trials]:
        values = within(seed["hyperparameters"], tuning.ranges)
        if values is not None:
            study.enqueue_trial(values, skip_if_exists=True)
    found = Found()
    best_value = math.inf
    failure: Exception | None = None
    sign = 1 if tuning.direction == "minimize" else -1
    for _ in range(asked.max_trials):
        trial = study.ask()
        values = {name: suggest(trial, name, one) for name, one in tuning.ranges.items()}
        hyperparameters = {name: as_text(value) for name, value in values.items()}
        report: dict[str, Any] = {"hyperparameters": hyperparameters}
        try:
            value, outcome = attempt(hyperparameters)
        except Exception as error:
            failure = failure or error
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            found.trials.append({**report, "value": None, "failure": f"{error}"[:500]})
            continue
        study.tell(trial, value)
        found.trials.append({**report, "value": value})
        if found.best is None or sign * value < best_value:
            best_value, found.best = sign * value, outcome
            found.best_hyperparameters = hyperparameters
    if found.best is None and failure is not None:
        raise failure
    return found


def suggest(trial: optuna.Trial, name: str, one: dict[str, Any]) -> Any:
    """ReverseLogarithmic ranges are searched evenly: what they are for lies near 1."""
    if one["type"] == "categorical":
        return trial.suggest_categorical(name, one["values"])
    logarithmic = one.get("scaling") == "Logarithmic"
    if one["type"] == "integer":
        return trial.suggest_int(name, int(one["min"]), int(one["max"]), log=logarithmic)
    return trial.suggest_float(name, one["min"], one["max"], log=logarithmic)


def within(hyperparameters: dict[str, str], ranges: dict[str, dict[str, Any]]) -> dict | None:
    """As the ranges' types; None when a value is missing or outside."""
    values: dict[str, Any] = {}
    for name, one in ranges.items():
        text = hyperparameters.get(name)
        if text is None:
            return None
        if one["type"] == "categorical":
            if text not in one["values"]:
                return None
            values[name] = text
            continue
        try:
            value = float(text)
        except ValueError:
            return None
        if not one["min"] <= value <= one["max"]:
            return None
        values[name] = int(value) if one["type"] == "integer" else value
    return values


def as_text(value: Any) -> str:
    """As SageMaker hands hyperparameters over; a number comes back as it was."""
    return repr(value) if isinstance(value, float) else str(value)
