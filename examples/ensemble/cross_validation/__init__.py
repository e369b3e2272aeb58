"""k-fold cross-validation of any regression that says how many rounds were enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator

import numpy as np


@dataclass(frozen=True)
class Fold:
    """What was found on the rows that one fit did not see."""

    rmse: float
    rounds: int


@dataclass(frozen=True)
class Rows:
    """A matrix of features and its targets."""

    features: np.ndarray
    target: np.ndarray

    def take(self, places: np.ndarray) -> Rows:
        return Rows(self.features[places], self.target[places])


def folds(count: int, k: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The places to fit on and those held out, k times; every row is held out once."""
    shuffled = np.random.default_rng(seed).permutation(count)
    for held_out in np.array_split(shuffled, min(k, count)):
        yield np.setdiff1d(shuffled, held_out), np.sort(held_out)


def cross_validate(
    fit: Callable[[Rows, Rows], Fold], rows: Rows, k: int, seed: int
) -> tuple[list[float], int]:
    """The folds' errors, and the rounds to train the final model for: the mean of the folds'."""
    found = [fit(rows.take(inside), rows.take(held)) for inside, held in folds(len(rows.target), k, seed)]
    return [fold.rmse for fold in found], max(1, round(np.mean([fold.rounds for fold in found])))
