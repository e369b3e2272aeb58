"""Writes one CSV per customer with pandas and psycopg: what a data scientist would write first, done well.

The query's rows come through a server-side cursor in chunks, so memory stays bounded, and each chunk's rows
are appended to their customers' files. Files go to a local folder: nothing is uploaded, hashed or checked.

usage: pandas_export.py DATABASE_URL CUSTOMER_COLUMN FOLDER < query.sql
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from sqlalchemy import create_engine, text

CHUNK_ROWS = 100_000


def main() -> None:
    url, customer_column, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    query = text(sys.stdin.read().replace(":", r"\:"))
    engine = create_engine(url.replace("postgres://", "postgresql+psycopg://", 1))
    started = time.perf_counter()
    with engine.connect().execution_options(stream_results=True) as connection:
        rows = 0
        for chunk in pd.read_sql(query, connection, chunksize=CHUNK_ROWS):
            rows += len(chunk)
            for customer, part in chunk.groupby(customer_column, sort=False):
                path = folder / f"{quote(str(customer), safe='')}.csv"
                columns = part.drop(columns=customer_column)
                columns.to_csv(path, mode="a", header=False, index=False)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


if __name__ == "__main__":
    main()
