"""Trains one Prophet model for each customer file that this instance was given, on all of its cores.

    python train.py --customers DIR --schema DIR --checkpoints DIR --output-data-dir DIR

`customers` holds `<customer>.csv`: no header, rows `channel,target,time`. What is done stands in the
checkpoint folder, artifact and line, and is not done again: after an interruption only what is missing
is trained. With `--champions DIR` the serving models are scored beside the new ones, with `--trials DIR`
every customer's hyperparameters are searched. On SageMaker the folders come from the channels.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from pathlib import Path
from typing import Iterator

# A model is fitted by one process: threads of its libraries would only stand in each other's way.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import models
from checkpoints import Checkpoints
from customer import read_schema
from forecaster import HyperParameters
from model_evaluation import read_comparison
from models import Job
from search import Search, Tuning


def main() -> None:
    args = parse_args()
    job = models.job = open_job(args)
    names = sorted(path.stem for path in job.customers.rglob("*.csv"))
    lines = {name: line for name in names for line in [job.checkpoints.line(name)] if line}
    missing = [name for name in names if name not in lines]
    if lines:
        print(f"{len(lines)} of {len(names)} customers are done already")
    started = time.monotonic()
    failed = 0
    for name, line, failure in train_all(missing, args.processes):
        lines[name] = line
        if failure is not None:
            failed += 1
            print(f"customer {name} failed: {failure}", flush=True)
    write_results(Path(args.output_data_dir), args.host, [lines[name] for name in names])
    seconds = time.monotonic() - started
    print(f"{len(missing)} customers in {seconds:.1f} s, {failed} failed")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for name in ("customers", "schema"):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--champions", default=os.environ.get("SM_CHANNEL_CHAMPIONS"))
    parser.add_argument("--trials", default=os.environ.get("SM_CHANNEL_TRIALS"))
    parser.add_argument("--checkpoints", default=checkpoint_folder())
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--host", default=os.environ.get("SM_CURRENT_HOST", "algo-1"))
    parser.add_argument("--processes", type=int, default=cores())
    for one in fields(HyperParameters):
        parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    return parser.parse_args()


def cores() -> int:
    """Of the instance, which this job has for itself."""
    known = int(os.environ.get("SM_NUM_CPUS", "1"))
    try:
        return max(known, len(os.sched_getaffinity(0)))
    except AttributeError:  # Not on macOS.
        return max(known, os.cpu_count() or 1)


def checkpoint_folder() -> str:
    """`/opt/ml/checkpoints` in a container: beside the folder of the output, wherever that is."""
    output = os.environ.get("SM_OUTPUT_DIR") or os.environ.get("SM_OUTPUT_DATA_DIR")
    if output is None:
        return "checkpoints"
    path = Path(output)
    base = path.parent if path.name == "output" else path.parent.parent
    return str(base / "checkpoints")


def open_job(args: argparse.Namespace) -> Job:
    schema_folder = Path(args.schema)
    schema = read_schema(json.loads((schema_folder / "columns.json").read_text(encoding="utf-8")))
    tuning, searches = read_searches(args.trials)
    return Job(
        customers=Path(args.customers),
        schema=schema,
        comparison=read_comparison(schema_folder, [schema.time]),
        checkpoints=Checkpoints(Path(args.checkpoints)),
        hyperparameters=HyperParameters(
            **{one.name: getattr(args, one.name) for one in fields(HyperParameters)}
        ),
        champions=read_champions(args.champions),
        tuning=tuning,
        searches=searches,
    )


def read_champions(channel: str | None) -> dict[str, Path]:
    """Where each customer's serving model is; champions.json lies somewhere in the channel."""
    if not channel:
        return {}
    (paths,) = Path(channel).rglob("champions.json")
    named = json.loads(paths.read_text(encoding="utf-8"))
    return {customer: Path(channel) / path for customer, path in named.items()}


def read_searches(channel: str | None) -> tuple[Tuning | None, dict[str, Search]]:
    if not channel:
        return None, {}
    told = json.loads((Path(channel) / "tuning.json").read_text(encoding="utf-8"))
    names = {one.name for one in fields(Tuning)}
    searches = {}
    with (Path(channel) / "trials.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            searches[one["customer"]] = Search(one["maxTrials"], one["trials"])
    return Tuning(**{name: told[name] for name in names if name in told}), searches


def train_all(names: list[str], processes: int) -> Iterator[tuple[str, str, str | None]]:
    """Yields (customer, line, failure) as each is done; all cores work until the last file."""
    if not names:
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(names)), mp_context=context) as pool:
        done = {pool.submit(models.train_one, name): name for name in names}
        for future in as_completed(done):
            line, failure = future.result()
            yield done.pop(future), line, failure


def write_results(folder: Path, host: str, lines: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"results-{host}.jsonl").open("w", encoding="utf-8") as results:
        results.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
