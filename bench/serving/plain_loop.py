"""Predicts in a plain Python loop, with the models in memory: what serving can cost at the least.

Uses the very functions that the endpoint's containers run (inference.py), one row per call.

usage: plain_loop.py INFERENCE_FOLDER MODELS_FOLDER REQUESTS < rows.csv
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

# Answers that the other contenders must give too.
COMPARED = 100


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import inference

    models = [inference.model_fn(str(folder)) for folder in sorted(Path(sys.argv[2]).iterdir())]
    rows = sys.stdin.read().splitlines()
    latencies: list[float] = []
    answers: list[str] = []
    for number in range(int(sys.argv[3])):
        model = models[number % len(models)]
        body = rows[number % len(rows)]
        started = time.perf_counter()
        features = inference.input_fn(body, "text/csv")
        answer, _ = inference.output_fn(inference.predict_fn(features, model), "text/csv")
        latencies.append((time.perf_counter() - started) * 1000)
        answers.append(answer.strip())
    print(json.dumps({"latenciesMs": latencies, "answers": answers[:COMPARED]}))


if __name__ == "__main__":
    main()
