"""Draws the best RMSE so far against training jobs, cold and warm: python plot.py FIGURES.json OUT.svg"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

COLORS = {"cold": "#5a6b7b", "warm": "#d1495b"}


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    jobs = figures["jobs"]
    # The same figures make the same file.
    plt.rcParams.update({"svg.hashsalt": "modelfleet", "font.size": 10})
    curves, needed = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))[1]
    for name, color in COLORS.items():
        percent = (np.array(figures[name], dtype=float) - 1) * 100
        low, middle, high = np.percentile(percent, (25, 50, 75), axis=0)
        curves.plot(range(1, jobs + 1), middle, color=color, label=f"{name}: median")
        curves.fill_between(
            range(1, jobs + 1), low, high, color=color, alpha=0.2, label=f"{name}: quartiles"
        )
    curves.axhline(0, color="black", linewidth=0.8)
    curves.set(
        xlabel="training jobs",
        ylabel=f"validation RMSE, % above the best of {jobs} cold jobs",
    )
    curves.legend()
    reached = np.array([n if n is not None else jobs + 1 for n in figures["needed"]])
    shares = [np.mean(reached <= n) * 100 for n in range(1, jobs + 1)]
    needed.step(range(1, jobs + 1), shares, color=COLORS["warm"], where="post")
    needed.axvline(jobs // 3, color="black", linewidth=0.8, linestyle=":")
    needed.set(
        xlabel="training jobs of the warm search",
        ylabel=f"% of searches level with {jobs} cold jobs",
        ylim=(0, 100),
    )
    for axes in (curves, needed):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plt.tight_layout()
    plt.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
