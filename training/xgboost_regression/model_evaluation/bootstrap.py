"""How sure an improvement is: a paired bootstrap over the test rows that both models predicted.

Rows are drawn with replacement, always both models' errors of a row together, and the improvement
is computed anew from every draw; percentiles of these improvements are the ends of the interval.
See B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
SEED = 1  # Fixed: the same errors give the same interval, whoever computes it again.

# The draws of fewer rows are too much alike: of one row the interval would have no width at all.
MINIMUM_ROWS = 10

# More rows are summed up in that many random groups, which are drawn instead: sums of groups
# vary as the sums of their rows do. So a million rows take no longer than ten thousand.
MAXIMUM_UNITS = 10_000

# Draws that are held in memory at a time: 8 bytes each, and as much again for each model's errors.
DRAWS_AT_A_TIME = 500_000

# A champion without any error cannot be improved on, only be equalled; a log line has no infinity.
WORST = -1e6


def improvement_interval(
    challenger: np.ndarray,
    champion: np.ndarray,
    metric: str,
    confidence: float,
    resamples: int = RESAMPLES,
) -> tuple[float, float] | None:
    """Ends of the two-sided interval of `improvement`, or None when there are too few rows.

    `challenger` and `champion` are the errors of the two models, row by row the same rows.
    """
    if challenger.size < MINIMUM_ROWS:
        return None
    random = np.random.default_rng(SEED)
    new, old = units(losses(challenger, metric), losses(champion, metric), random)
    at_a_time = max(1, DRAWS_AT_A_TIME // new.size)
    improvements = np.empty(resamples)
    for start in range(0, resamples, at_a_time):
        some = improvements[start : start + at_a_time]
        drawn = random.integers(0, new.size, size=(some.size, new.size))
        some[:] = improvement(new[drawn].sum(axis=1), old[drawn].sum(axis=1), metric)
    tail = (1 - confidence) / 2
    low, high = np.quantile(improvements, [tail, 1 - tail])
    return float(low), float(high)


def losses(errors: np.ndarray, metric: str) -> np.ndarray:
    """What a row adds to the metric."""
    if metric == "rmse":
        return np.square(errors, dtype=np.float64)
    return np.abs(errors, dtype=np.float64)


def units(
    new: np.ndarray, old: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The rows, or, of many, sums of random groups whose sizes differ by one row at most."""
    if new.size <= MAXIMUM_UNITS:
        return new, old
    shuffled = random.permutation(new.size)
    starts = np.arange(MAXIMUM_UNITS) * new.size // MAXIMUM_UNITS
    return np.add.reduceat(new[shuffled], starts), np.add.reduceat(old[shuffled], starts)


def improvement(new: np.ndarray, old: np.ndarray, metric: str) -> np.ndarray:
    """Share of the champion's error that is gone, from sums of losses over the same rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(old == 0, np.where(new == 0, 1.0, np.inf), new / old)
    return np.maximum(1 - (np.sqrt(ratio) if metric == "rmse" else ratio), WORST)
