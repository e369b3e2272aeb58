"""Population stability by customer and column with pandas: what a data scientist would write first, done well.

Both windows' rows come through a server-side cursor in chunks, text as categories and numbers as float32 where that
loses nothing, so that they take as little memory as rows can; they are kept, since deciles need all of a customer's
rows. The figures are those of modelfleet, computed from the rows: deciles of the reference, a bin of its own for a value
that is two of them, half a row added to each count.

usage: pandas_drift.py DATABASE_URL CUSTOMER_COLUMN REFERENCE_SQL NEWEST_SQL FIGURES.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, text

CHUNK_ROWS = 100_000
DECILES = np.arange(1, 10) / 10


def main() -> None:
    url, customer, reference_sql, newest_sql, output = sys.argv[1:]
    engine = create_engine(url.replace("postgres://", "postgresql+psycopg://", 1))
    started = time.perf_counter()
    reference, newest = read_rows(engine, reference_sql), read_rows(engine, newest_sql)
    rows = len(reference) + len(newest)
    read_seconds = time.perf_counter() - started
    arrived = dict(list(newest.groupby(customer, observed=True, sort=False)))
    figures = {
        name: {
            column: stability(before[column], arrived[name][column])
            for column in reference.columns
            if column != customer
        }
        for name, before in reference.groupby(customer, observed=True, sort=False)
        if name in arrived
    }
    seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps(figures), encoding="utf-8")
    print(json.dumps({"seconds": seconds, "readSeconds": read_seconds, "rows": rows}))


def read_rows(engine, sql: str) -> pd.DataFrame:
    query = text(sql.replace(":", r"\:"))
    with engine.connect().execution_options(stream_results=True) as connection:
        chunks = [compact(chunk) for chunk in pd.read_sql(query, connection, chunksize=CHUNK_ROWS)]
    # Chunks that know other values would turn into text again.
    for column in chunks[0].select_dtypes("category").columns:
        values = pd.api.types.union_categoricals([chunk[column] for chunk in chunks]).categories
        for chunk in chunks:
            chunk[column] = chunk[column].cat.set_categories(values)
    return pd.concat(chunks, ignore_index=True)


def compact(chunk: pd.DataFrame) -> pd.DataFrame:
    """Minutes, miles and hours are whole numbers below 2**24: float32 holds them exactly."""
    for column in chunk.columns:
        numeric = pd.api.types.is_numeric_dtype(chunk[column])
        chunk[column] = chunk[column].astype("float32" if numeric else "category")
    return chunk


def stability(before: pd.Series, after: pd.Series) -> float:
    if isinstance(before.dtype, pd.CategoricalDtype):
        counts = pd.concat([before.value_counts(), after.value_counts()], axis=1).fillna(0)
        return psi(counts.iloc[:, 0].to_numpy(float), counts.iloc[:, 1].to_numpy(float))
    edges = edges_of(before.dropna().to_numpy(float))
    return psi(histogram(before, edges), histogram(after, edges))


def edges_of(values: np.ndarray) -> np.ndarray:
    deciles, times = np.unique(
        np.quantile(values, DECILES, method="inverted_cdf"), return_counts=True
    )
    doubled = deciles[times > 1]
    above = doubled + np.maximum(np.abs(doubled), 1e-200) * 1e-15
    return np.sort(np.concatenate([deciles, above]))


def histogram(values: pd.Series, edges: np.ndarray) -> np.ndarray:
    """NULLs last, in a bin of their own."""
    known = values.dropna().to_numpy(float)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(float)


def psi(reference: np.ndarray, newest: np.ndarray) -> float:
    used = (reference + newest) > 0
    reference, newest = reference[used] + 0.5, newest[used] + 0.5
    p, q = reference / reference.sum(), newest / newest.sum()
    return float(((q - p) * np.log(q / p)).sum())


if __name__ == "__main__":
    main()
