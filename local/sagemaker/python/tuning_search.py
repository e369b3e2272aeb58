"""Chooses the next point of a hyperparameter search, with Optuna.

Questions are lines of JSON on stdin, answers on stdout, one line for one line:

  {"id": 1, "suggest": STATE}            -> {"id": 1, "point": {"eta": 0.2, "booster": "dart"}}
                                            (null when there is no point left that was not tried)
  {"id": 2, "judge": STATE, "trial": 7}  -> {"id": 2, "cut": true}
                                            (does Hyperband stop STATE's trial 7 at its last value?)
  anything that fails                    -> {"id": 3, "error": "..."}; the traceback is on stderr

STATE (../tuning-search.ts) holds everything that the answer depends on. Nothing is kept from one question
to the next, so this process may die at any time, and the same question always gets the same answer.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import traceback
import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

# Its bracket follows from the name of the study and the number of the trial: with one name for all
# searches, the same seed and trials always lead to the same search.
STUDY_NAME = "search"
REDUCTION_FACTOR = 3  # Also in ../tuning-early-stopping.ts.
# A model of ten or more dimensions learns nothing from less; parents' trials count as well.
STARTUP_TRIALS = 10
# Points that were tried already are drawn again so often; then the untried ones are listed, if they can be.
DRAWS = 50
LISTED_POINTS = 100_000

STATES = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "cut": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

State = dict[str, Any]
Point = dict[str, Any]


class Shared:
    """Optuna copies the distributions with every trial. Nobody changes one, and copying took most of the time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self


class SharedFloat(Shared, FloatDistribution):
    pass


class SharedInt(Shared, IntDistribution):
    pass


class SharedCategorical(Shared, CategoricalDistribution):
    pass


class Range:
    """A range of STATE: its values, and what the sampler sees of them."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.name: str = described["name"]
        self.kind: str = described["kind"]
        self.scale: str = described.get("scale", "linear")
        self.values: list[str] = described.get("values", [])
        self.low = described.get("min")
        self.high = described.get("max")

    @property
    def is_reversed(self) -> bool:
        return self.scale == "reverse-logarithmic"

    def distribution(self) -> BaseDistribution:
        is_log = self.scale != "linear"
        if self.kind == "categorical":
            return SharedCategorical(self.values)
        if self.kind == "integer":
            return SharedInt(int(self.low), int(self.high), log=is_log)
        if self.is_reversed:  # Fine steps near 1: the distance from 1 is what is searched by its logarithm.
            return SharedFloat(1.0 - self.high, 1.0 - self.low, log=True)
        return SharedFloat(float(self.low), float(self.high), log=is_log)

    def to_sampler(self, value: Any) -> Any:
        if self.kind == "integer":
            return int(value)
        if not self.is_reversed:
            return value if self.kind == "categorical" else float(value)
        return min(max(1.0 - value, 1.0 - self.high), 1.0 - self.low)

    def from_sampler(self, value: Any) -> Any:
        return min(max(1.0 - value, self.low), self.high) if self.is_reversed else value

    def all_values(self) -> list[Any] | range:
        return self.values if self.kind == "categorical" else range(int(self.low), int(self.high) + 1)


class Search:
    """One STATE as a study of Optuna."""

    def __init__(self, state: State, judged: int | None = None) -> None:
        self.state = state
        self.verdict = False
        self.ranges = [Range(described) for described in state["ranges"]]
        self.space = {each.name: each.distribution() for each in self.ranges}
        self.hyperband = state.get("hyperband")
        self.study = optuna.create_study(
            study_name=STUDY_NAME,
            direction=state["direction"],
            sampler=RandomSampler(seed=state["seed"]),
            pruner=NopPruner() if self.hyperband is None else self.pruner(self.hyperband),
        )
        if self.hyperband is None:
            self.study.add_trials([self.frozen(told) for told in state["trials"]])
        else:
            # The one that is judged comes last to its latest value: all others have had theirs by then.
            trials = [self.replay(told, index != judged) for index, told in enumerate(state["trials"])]
            if judged is not None:
                self.verdict = self.report(trials[judged], state["trials"][judged]["reported"][-1])

    def pruner(self, hyperband: dict[str, int]) -> HyperbandPruner:
        return HyperbandPruner(
            min_resource=hyperband["minResource"],
            max_resource=hyperband["maxResource"],
            reduction_factor=REDUCTION_FACTOR,
        )

    def sampler(self) -> BaseSampler:
        if self.state["strategy"] == "Random":
            return RandomSampler(seed=self.state["seed"])
        return TPESampler(
            seed=self.state["seed"],
            multivariate=True,  # Hyperparameters of one model are seldom independent of each other.
            constant_liar=True,  # Parallel jobs keep away from each other.
            n_startup_trials=STARTUP_TRIALS,
        )

    def params(self, told: dict[str, Any]) -> dict[str, Any]:
        return {each.name: each.to_sampler(told["point"][each.name]) for each in self.ranges}

    def frozen(self, told: dict[str, Any]) -> optuna.trial.FrozenTrial:
        return create_trial(
            state=STATES[told["state"]],
            params=self.params(told),
            distributions=self.space,
            value=told["objective"] if told["state"] == "complete" else None,
            intermediate_values={step: value for step, value in told["reported"]},
        )

    def replay(self, told: dict[str, Any], with_last: bool) -> optuna.Trial:
        """The trial as it went: Hyperband remembers at each rung what it was told there."""
        self.study.enqueue_trial(self.params(told))
        trial = self.study.ask(self.space)
        for reported in told["reported"] if with_last else told["reported"][:-1]:
            self.report(trial, reported)
        if told["state"] == "complete":
            self.study.tell(trial, told["objective"])
        elif told["state"] != "running":
            self.study.tell(trial, state=STATES[told["state"]])
        return trial

    def report(self, trial: optuna.Trial, reported: list[Any]) -> bool:
        """Is the trial to be cut at this step with this value?"""
        step, value = reported
        trial.report(value, step)
        return trial.should_prune()

    def suggest(self) -> Point | None:
        taken = {self.key(told["point"]) for told in self.state["trials"] if told["isTaken"]}
        self.study.sampler = self.sampler()
        for _ in range(DRAWS):
            trial = self.study.ask(self.space)
            point = {each.name: each.from_sampler(trial.params[each.name]) for each in self.ranges}
            if self.key(point) not in taken:
                return point
            self.study.tell(trial, state=TrialState.FAIL)
        return self.untried(taken)

    def untried(self, taken: set[tuple[Any, ...]]) -> Point | None:
        """A point of a space that is nearly used up."""
        values = [each.all_values() for each in self.ranges]
        listed = itertools.islice(itertools.product(*values), LISTED_POINTS)
        names = [each.name for each in self.ranges]
        points = [dict(zip(names, combination)) for combination in listed]
        left = [point for point in points if self.key(point) not in taken]
        return random.Random(self.state["seed"]).choice(left) if left else None

    def key(self, point: Point) -> tuple[Any, ...]:
        return tuple(point[each.name] for each in self.ranges)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    if "suggest" in question:
        return {"point": Search(question["suggest"]).suggest()}
    return {"cut": bool(Search(question["judge"], judged=question["trial"]).verdict)}


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            result = answer(question)
        except Exception as error:
            traceback.print_exc()
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": question["id"], **result}), flush=True)


if __name__ == "__main__":
    main()
