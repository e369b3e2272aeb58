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

import httpx
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.task_runners import ThreadPoolTaskRunner

STEPS = 6
PATIENCE_SECONDS = 3600


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
    recorded_before = wait_until_recorded(5 * (STEPS + 1))
    started = time.perf_counter()
    finished = run(0, customers)
    seconds = time.perf_counter() - started
    assert finished == customers
    # Task states travel to the server behind the run's back; until they are in its database, no one sees them.
    wait_until_recorded(recorded_before + customers * (STEPS + 1))
    recorded_seconds = time.perf_counter() - started
    print(
        json.dumps({"seconds": seconds, "recordedSeconds": recorded_seconds, "customers": finished})
    )


def wait_until_recorded(task_runs: int) -> int:
    """Returns how many completed task runs the server knows, once they are at least `task_runs`."""
    url = f"{os.environ['PREFECT_API_URL']}/task_runs/count"
    completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (recorded := httpx.post(url, json=completed).raise_for_status().json()) < task_runs:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server has recorded {recorded} of {task_runs} task runs")
        time.sleep(0.2)
    return recorded


if __name__ == "__main__":
    main()
