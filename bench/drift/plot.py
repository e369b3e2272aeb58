"""Draws who is found: by kind and strength of synthetic drift, and by month of the flights: python plot.py FIGURES.json OUT.svg"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLORS = {"shift": "#d1495b", "scale": "#5a6b7b", "label": "#2e8b57", "category": "#b8860b"}
TITLES = {
    "shift": "a feature moves (σ)",
    "scale": "a feature spreads (factor)",
    "label": "the label moves (σ)",
    "category": "a category shifts (share)",
}


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # The same figures make the same file.
    plt.rcParams.update({"svg.hashsalt": "modelfleet", "font.size": 10})
    curves, months = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))[1]
    for kind, color in COLORS.items():
        points = [one for one in figures["detections"] if one["kind"] == kind]
        curves.plot(
            [one["strength"] for one in points],
            [100 * one["share"] for one in points],
            color=color,
            marker="o",
            label=TITLES[kind],
        )
    alarms = [100 * one["share"] for one in figures["detections"] if one["kind"] == "none"]
    curves.axhline(max(alarms), color="black", linewidth=0.8, linestyle=":", label="false alarms")
    curves.set(xlabel="strength", ylabel="% of customers found, PSI 0.25", ylim=(-3, 103))
    curves.legend(fontsize=8)
    names = [one["month"] for one in figures["months"]]
    shares = [100 * one["drifted"] / max(1, one["compared"]) for one in figures["months"]]
    months.bar(range(len(names)), shares, color=COLORS["scale"])
    months.set_xticks(range(len(names)), names, rotation=60, ha="right")
    months.set(ylabel="% of destinations found, flights")
    plt.tight_layout()
    plt.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
