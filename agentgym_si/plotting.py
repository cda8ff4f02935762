"""The curve of a run: success an iteration, with its intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentgym_si.errors import MissingDependency


def plot_success(report: Mapping[str, Any], path: Path) -> Path:
    """Draw a report's success by iteration into `path` (its suffix says the format).

    Filled points were promoted, hollow ones rolled back. Raises MissingDependency without
    matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "the plot needs matplotlib: pip install 'agentgym-si[view]'"
        ) from error
    entries = report["iterations"]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    x = [entry["iteration"] for entry in entries]
    y = [entry["success"] for entry in entries]
    below = [entry["success"] - entry["low"] for entry in entries]
    above = [entry["high"] - entry["success"] for entry in entries]
    axes.errorbar(x, y, yerr=[below, above], color="tab:blue", capsize=4, marker="o", zorder=2)
    rejected = [entry for entry in entries if not entry["promoted"]]
    axes.scatter(
        [entry["iteration"] for entry in rejected],
        [entry["success"] for entry in rejected],
        facecolor="white",
        edgecolor="tab:blue",
        zorder=3,
        label="rolled back",
    )
    if rejected:
        axes.legend()
    axes.set_xticks(x)
    axes.set_ylim(0, 1)
    axes.set_xlabel("iteration")
    axes.set_ylabel("success on held-out episodes")
    axes.set_title(f"{report['method']} on {len(report['tasks'])} tasks, seed {report['seed']}")
    figure.savefig(path)
    return path
