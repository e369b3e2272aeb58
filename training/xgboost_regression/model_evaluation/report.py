"""The figures of one model, under the names that modelfleet reads, as numbers or as lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import numpy as np

from .bootstrap import improvement_interval
from .comparison import Comparison
from .data_error import DataError

# Predictions of the first test rows: an endpoint must repeat them before it counts as serving this.
VERIFICATION_ROWS = 3


@dataclass(frozen=True)
class Predicted:
    """Rows' targets, and what the model says of them."""

    target: np.ndarray
    predictions: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return self.predictions - self.target


def figures(
    train: np.ndarray,
    validation: Predicted,
    test: Predicted,
    champion: np.ndarray | None = None,
    comparison: Comparison = Comparison(),
    segments: Sequence[Sequence[Mapping[str, Any]]] = (),
) -> dict[str, float]:
    """All figures by name. Throws DataError when one is not finite.

    `train` are the targets that were trained on. `champion` are its predictions of the test rows;
    without, nothing is compared. `segments` are the changes of each column of `comparison`, worst
    first, as `changes_by_segment` gives them.
    """
    from_mean = float(train.mean(dtype=np.float64)) - test.target
    found = {
        "train:rows": train.size,
        "validation:rows": validation.target.size,
        "test:rows": test.target.size,
        "validation:rmse": root_mean_square(validation.errors),
        **errors_of("test", test.errors),
        "baseline:rmse": root_mean_square(from_mean),
        "baseline:mae": mean_absolute(from_mean),
    }
    if champion is not None:
        of_champion = champion - test.target
        found.update(errors_of("champion", of_champion))
        found.update(improvement(test.errors, of_champion, comparison))
        for number, changes in enumerate(segments, start=1):
            if changes:
                found[f"segment:{number}:drop"] = changes[0]["drop"]
    for number, prediction in enumerate(test.predictions[:VERIFICATION_ROWS], start=1):
        found[f"verification:{number}"] = prediction
    for name, value in found.items():
        if not math.isfinite(value):
            raise DataError(f"metric {name} is {value}: look for extreme values in the data")
    return {name: float(value) for name, value in found.items()}


def print_figures(found: Mapping[str, float]) -> None:
    """One line each; the job's metric definitions read `name=(number);`."""
    for name, value in found.items():
        # Nine digits bring a 32-bit float back unchanged.
        print(f"{name}={value:.9g};")


def errors_of(name: str, errors: np.ndarray) -> dict[str, float]:
    return {
        f"{name}:rmse": root_mean_square(errors),
        f"{name}:mae": mean_absolute(errors),
        f"{name}:stdev_error": float(np.std(errors, dtype=np.float64)),
    }


def improvement(
    challenger: np.ndarray, champion: np.ndarray, comparison: Comparison
) -> dict[str, float]:
    """How sure the improvement is; of too few rows nothing is said."""
    interval = improvement_interval(challenger, champion, comparison.metric, comparison.confidence)
    if interval is None:
        return {}
    return {"improvement:low": interval[0], "improvement:high": interval[1]}


def root_mean_square(errors: np.ndarray) -> float:
    return math.sqrt(float(np.mean(np.square(errors, dtype=np.float64))))


def mean_absolute(errors: np.ndarray) -> float:
    return float(np.mean(np.abs(errors), dtype=np.float64))
