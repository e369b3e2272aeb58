"""Compares bootstrap.py with scipy, with what is known by other means, and with itself. Prints JSON.

    python check_bootstrap.py FOLDER   # the folder that holds bootstrap.py
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc

import numpy as np
from scipy import stats

sys.path.insert(0, sys.argv[1])
import bootstrap  # noqa: E402


def main() -> None:
    print(
        json.dumps(
            {
                "scipy": {metric: beside_scipy(metric) for metric in ("rmse", "mae")},
                "coverage": coverage(),
                "grouped": grouped(),
                "edges": edges(),
                "large": large(),
            }
        )
    )


def errors(
    random: np.random.Generator, rows: int, challenger: float, champion: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both models miss by what no model can know; each adds an error of its own, of this spread."""
    shared = random.normal(size=rows)
    new = shared + challenger * random.normal(size=rows)
    old = shared + champion * random.normal(size=rows)
    return new.astype(np.float32), old.astype(np.float32)


def beside_scipy(metric: str) -> dict[str, list[float]]:
    """The same percentiles of as many draws, by another implementation with other random numbers."""
    new, old = errors(np.random.default_rng(7), 300, 0.5, 0.7)

    def statistic(new: np.ndarray, old: np.ndarray, axis: int = -1) -> np.ndarray:
        if metric == "mae":
            return 1 - np.mean(np.abs(new), axis=axis) / np.mean(np.abs(old), axis=axis)
        return 1 - np.sqrt(np.mean(new**2, axis=axis) / np.mean(old**2, axis=axis))

    theirs = stats.bootstrap(
        (new.astype(np.float64), old.astype(np.float64)),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        confidence_level=0.9,
        method="percentile",
        random_state=11,
    ).confidence_interval
    ours = bootstrap.improvement_interval(new, old, metric, 0.9, resamples=20_000)
    return {"ours": list(ours), "theirs": [float(theirs.low), float(theirs.high)]}


def coverage() -> float:
    """How often an interval of 90 % holds the improvement that is known from the spreads."""
    truth = 1 - np.sqrt((1 + 0.5**2) / (1 + 0.7**2))
    random = np.random.default_rng(3)
    held = 0
    repetitions = 400
    for _ in range(repetitions):
        low, high = bootstrap.improvement_interval(
            *errors(random, 200, 0.5, 0.7), "rmse", 0.9, resamples=400
        )
        held += low <= truth <= high
    return held / repetitions


def grouped() -> dict[str, list[float]]:
    """The interval of many rows, drawn by groups, and by rows."""
    new, old = errors(np.random.default_rng(5), 40_000, 0.5, 0.7)
    by_groups = bootstrap.improvement_interval(new, old, "rmse", 0.9)
    limit, bootstrap.MAXIMUM_UNITS = bootstrap.MAXIMUM_UNITS, 10**9
    by_rows = bootstrap.improvement_interval(new, old, "rmse", 0.9)
    bootstrap.MAXIMUM_UNITS = limit
    return {"groups": list(by_groups), "rows": list(by_rows)}


def edges() -> dict[str, object]:
    def interval(new: list[float], old: list[float], metric: str = "rmse") -> object:
        return bootstrap.improvement_interval(np.array(new), np.array(old), metric, 0.95)

    new, old = errors(np.random.default_rng(2), 50, 0.5, 0.7)
    return {
        "half": interval([1.0] * 20, [2.0] * 20),
        "same": interval([3.0, -1.0] * 10, [3.0, -1.0] * 10, "mae"),
        "fewRows": interval([1.0] * 9, [2.0] * 9),
        "perfectChampion": interval([1.0] * 20, [0.0] * 20),
        "bothPerfect": interval([0.0] * 20, [0.0] * 20, "mae"),
        "again": bootstrap.improvement_interval(new, old, "mae", 0.95)
        == bootstrap.improvement_interval(new, old, "mae", 0.95),
    }


def large() -> dict[str, float]:
    new, old = errors(np.random.default_rng(4), 1_000_000, 0.5, 0.7)
    tracemalloc.start()
    started = time.perf_counter()
    bootstrap.improvement_interval(new, old, "rmse", 0.95)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    return {"seconds": seconds, "peakMegabytes": peak / 1e6}


if __name__ == "__main__":
    main()
