"""Runs a command and tells, as one JSON line, its wall time, CPU time and peak memory.

usage: measure.py OUTPUT COMMAND [ARGUMENT...]

A separate small process, because the system tells peak memory only of children that have ended, as the
largest of them: Node cannot ask for it, and a parent of its own size would hide a smaller child.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    output, command = Path(sys.argv[1]), sys.argv[2:]
    started = time.perf_counter()
    exit_code = subprocess.run(command, check=False).returncode
    wall_seconds = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {
        "wallSeconds": wall_seconds,
        "cpuSeconds": usage.ru_utime + usage.ru_stime,
        "peakRssBytes": usage.ru_maxrss * unit,
    }
    output.write_text(json.dumps(figures))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
