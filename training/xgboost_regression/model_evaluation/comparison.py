"""What the policy wants compared with the champion, and where a column's values fare worse."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import pandas as pd

from .bootstrap import improvement, losses
from .data_error import DataError

EVALUATION_FILE = "evaluation.json"

# A value with fewer test rows is not judged by itself: a single bad row would decide.
MINIMUM_SEGMENT_ROWS = 30

# Of each segment's values the worst this many are told.
TOLD = 100


@dataclass(frozen=True)
class Comparison:
    """What the schema channel's evaluation.json asks for; without the file, what is usual."""

    metric: str = "rmse"
    confidence: float = 0.95
    segments: list[str] = field(default_factory=list)


def read_comparison(schema_folder: Path, features: Sequence[str]) -> Comparison:
    """Throws DataError when it asks for what is not there; `features` are the columns' names."""
    path = schema_folder / EVALUATION_FILE
    if not path.exists():
        return Comparison()
    comparison = Comparison(**json.loads(path.read_text(encoding="utf-8")))
    if comparison.metric not in ("rmse", "mae"):
        raise DataError(f'{EVALUATION_FILE}: metric "{comparison.metric}" is not rmse or mae')
    for segment in comparison.segments:
        if segment not in features:
            raise DataError(
                f'{EVALUATION_FILE}: segment "{segment}" is not one of the features: '
                f"{', '.join(features)}"
            )
    return comparison


def changes_by_segment(
    rows: pd.DataFrame, challenger: np.ndarray, champion: np.ndarray, comparison: Comparison
) -> dict[str, list[dict[str, Any]]]:
    """By column, the changes of the test rows' errors; `rows` holds the columns' values."""
    return {
        column: changes_by_value(rows[column], challenger, champion, comparison.metric)
        for column in comparison.segments
    }


def changes_by_value(
    values: pd.Series, challenger: np.ndarray, champion: np.ndarray, metric: str
) -> list[dict[str, Any]]:
    """Worst change first, of the values with enough rows: `drop` 0.1 is an error grown by 10 %."""
    codes, names = factorize(values)
    rows = np.bincount(codes)
    new, old = (
        np.bincount(codes, weights=losses(errors, metric)) for errors in (challenger, champion)
    )
    drops = -improvement(new, old, metric)
    worst_first = np.argsort(-drops, kind="stable")
    judged = [index for index in worst_first if rows[index] >= MINIMUM_SEGMENT_ROWS]
    return [
        {
            "value": plain(names[index]),
            "rows": int(rows[index]),
            "challenger": mean_error(new[index], rows[index], metric),
            "champion": mean_error(old[index], rows[index], metric),
            "drop": float(drops[index]),
        }
        for index in judged
    ]


def factorize(values: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Each value's number, and the values by their numbers; None is the missing one, a value like others.

    pandas does that by itself since 1.5 (use_na_sentinel=False); SageMaker's images have older ones.
    """
    codes, found = pd.factorize(values)
    names: list[Any] = list(found)
    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names.append(None)
    return codes, names


def mean_error(loss: float, rows: int, metric: str) -> float:
    mean = float(loss) / int(rows)
    return mean**0.5 if metric == "rmse" else mean


def plain(value: Any) -> Any:
    """A number or a text, as JSON knows them."""
    return value.item() if isinstance(value, np.generic) else value


def write_segments(
    folder: Path, comparison: Comparison, by_segment: dict[str, list[dict[str, Any]]]
) -> None:
    """Which values they are, for people: a metric has a number only."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "metric": comparison.metric,
        "minimumRows": MINIMUM_SEGMENT_ROWS,
        "segments": [
            {"column": column, "judged": len(changes), "worst": changes[:TOLD]}
            for column, changes in by_segment.items()
        ],
    }
    (folder / EVALUATION_FILE).write_text(
        json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8"
    )
