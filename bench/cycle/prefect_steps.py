"""The no-op work in Prefect: per customer a task that calls six durable tasks, 50 customers in flight.

Follows Prefect's documentation for one machine: a server process of its own (`prefect server start`) with its
default SQLite database (WAL), one flow, and the default thread pool task runner. `persist_result=True` writes
each task's result to disk, which is what lets a re-run skip finished steps; without it a run is recorded, but
cannot be resumed. Log shipping to the server is off (PREFECT_LOGGING_TO_API_ENABLED=false, set by the caller).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NamedTuple

import httpx
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.task_runners import ThreadPoolTaskRunner

STEPS = 6
# Without another record for so long, the server has lost the others: its queue in memory is bounded.
PATIENCE_SECONDS = 30


@task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
def step(customer: int, number: int) -> int:
    return number


@task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
def customer_steps(customer: int) -> int:
    return sum(step(customer, number) for number in range(STEPS))


@flow(log_prints=False)
def cycle(first: int, customers: int) -> int:
    return len(customer_steps.map(range(first, first + customers)).result())


def main() -> None:
    customers, in_flight = int(sys.argv[1]), int(sys.argv[2])
    runner = ThreadPoolTaskRunner(max_workers=in_flight)
    run = cycle.with_options(task_runner=runner)
    run(-5, 5)  # Imports and first connections are not the engine's price per step.
    recorded_before = wait_until_recorded(5 * (STEPS + 1)).task_runs
    started = time.perf_counter()
    finished = run(0, customers)
    seconds = time.perf_counter() - started
    assert finished == customers
    # Task states travel to the server behind the run's back; until they are in its database, no one sees them.
    asked = customers * (STEPS + 1)
    recorded = wait_until_recorded(recorded_before + asked)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "recordedSeconds": recorded.at - started,
                "recordedShare": (recorded.task_runs - recorded_before) / asked,
                "customers": finished,
            }
        )
    )


class Recorded(NamedTuple):
    """Completed task runs that the server knows, and when the last of them was seen (perf_counter)."""

    task_runs: int
    at: float


def wait_until_recorded(task_runs: int) -> Recorded:
    """Returns once the server knows `task_runs`, or when no other has come for PATIENCE_SECONDS."""
    url = f"{os.environ['PREFECT_API_URL']}/task_runs/count"
    completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    last = Recorded(-1, time.perf_counter())
    while True:
        now = httpx.post(url, json=completed).raise_for_status().json()
        if now > last.task_runs:
            last = Recorded(now, time.perf_counter())
        if now >= task_runs or time.perf_counter() - last.at > PATIENCE_SECONDS:
            return last
        time.sleep(0.2)


if __name__ == "__main__":
    main()
