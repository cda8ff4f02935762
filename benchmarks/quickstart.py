"""The main job against its controls, over seeds: is it the agent's own experience that helps?

Three arms start from the same warm-started policy and make the same number of updates with the
same settings: `rft` (the main job as shipped), `warm-only` (more training on the warm-start
episodes) and `unfiltered` (self-training on own episodes chosen alike, solved or not). The controls
skip the promotion gate, so none of their updates is thrown away. Gain: success of the last policy
minus that of the start, on the same fresh held-out episodes, which decided nothing.

The last line is one JSON object: gain_mean gain_low gain_high (Student, over seeds) warm_only_gain
unfiltered_gain and their intervals.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from agentgym_si.config import ImproveConfig, load_config, override
from agentgym_si.evaluate import t_interval
from agentgym_si.improving import improve

UNGATED = {"evaluate.alpha": 1.0, "evaluate.seeds": 1}
"""Every candidate is promoted, so only the last comparison has to be measured well."""

ARMS: dict[str, dict[str, Any]] = {
    "rft": {},
    "warm-only": {"method": "warm-only", "method_options": {}, **UNGATED},
    "unfiltered": {"method_options.threshold": 0.0, **UNGATED},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--config", type=Path, help="another job than the main one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two seeds of a smaller job")
    parser.add_argument("--out", type=Path, help="default: runs/benchmark-NAME of the config")
    parser.add_argument("--plot", type=Path, help="draw curve and gains into this file")
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    name = arguments.config.stem if arguments.config else "quickstart"
    count = arguments.seeds
    if arguments.quick:
        count, config = min(count, 2), smaller(config)
    out = arguments.out or Path(f"runs/benchmark-{name}")
    out = out / ("quick" if arguments.quick else "full")
    results = []
    for seed in range(arguments.first_seed, arguments.first_seed + count):
        results.append(run_seed(override(config, {"seed": seed}), out))
        print(json.dumps(results[-1]), flush=True)
    figures = summary(results)
    if arguments.plot:
        plot(results, figures, arguments.plot)
    print(json.dumps(figures))


def smaller(config: ImproveConfig) -> ImproveConfig:
    """Return a job of one iteration that two seeds of fit into minutes."""
    return override(
        config,
        {
            "iterations": 1,
            "evaluate.seeds": max(config.evaluate.seeds // 3, 1),
            "evaluate.final_seeds": max(config.evaluate.final_seeds // 3, 1),
        },
    )


def run_seed(config: ImproveConfig, out: Path) -> dict[str, Any]:
    """Run all arms of one seed; return start, gain and cost of each."""
    row: dict[str, Any] = {"seed": config.seed}
    for arm, changes in ARMS.items():
        folder = out / f"{arm}-{config.seed}"
        began = time.perf_counter()
        if arm != "rft":  # the same start, not warm-started again
            start = out / f"rft-{config.seed}" / "checkpoints" / "0"
            changes = {**changes, "policy": str(start), "warm.steps": 0}
        report = improve(override(config, changes), folder=folder)
        final = report["final"]
        row[arm] = {
            "start": final["start"]["success"],
            "end": final["end"]["success"],
            "gain": final["paired"]["difference"],
            "curve": [round(entry["success"], 4) for entry in report["iterations"]],
            "promoted": sum(entry["promoted"] for entry in report["iterations"][1:]),
            "episodes": report["cost"]["episodes"],
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(f"seed {config.seed} {arm}: {row[arm]}", file=sys.stderr, flush=True)
    return row


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and interval of every arm's gain over the seeds."""
    figures: dict[str, Any] = {"seeds": len(results)}
    names = {"rft": "gain", "warm-only": "warm_only_gain", "unfiltered": "unfiltered_gain"}
    for arm, name in names.items():
        gains = [row[arm]["gain"] for row in results]
        mean, low, high = t_interval(gains) if len(gains) > 1 else (gains[0], None, None)
        figures |= {f"{name}_mean" if arm == "rft" else name: mean}
        figures |= {f"{name}_low": low, f"{name}_high": high}
    figures["start_mean"] = sum(row["rft"]["start"] for row in results) / len(results)
    figures["end_mean"] = sum(row["rft"]["end"] for row in results) / len(results)
    return figures


def plot(results: list[dict[str, Any]], figures: dict[str, Any], path: Path) -> None:
    """Draw the main job's success by iteration, each seed thin, and every arm's gain."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    curve, gains = figure.subplots(1, 2, width_ratios=(3, 2))
    curves = [row["rft"]["curve"] for row in results]
    for values in curves:
        curve.plot(values, color="tab:blue", alpha=0.3, linewidth=1)
    means = [sum(column) / len(column) for column in zip(*curves, strict=True)]
    curve.plot(means, color="tab:blue", marker="o", label=f"mean of {len(curves)} seeds")
    curve.set(xlabel="iteration", ylabel="success on held-out episodes", ylim=(0, 1))
    curve.set_xticks(range(len(means)))
    curve.legend(loc="lower right")
    names = {"rft": "gain", "unfiltered": "unfiltered_gain", "warm-only": "warm_only_gain"}
    for place, (arm, name) in enumerate(names.items()):
        mean = figures["gain_mean" if arm == "rft" else name]
        low, high = figures[f"{name}_low"], figures[f"{name}_high"]
        bars = None if low is None else [[mean - low], [high - mean]]
        gains.errorbar([mean], [place], xerr=bars, marker="o", capsize=4, color="tab:blue")
    gains.axvline(0, color="grey", linewidth=1)
    gains.set_yticks(range(len(names)), list(names))
    gains.set(xlabel="gain on fresh episodes, 95 % interval", ylim=(-0.5, len(names) - 0.5))
    gains.invert_yaxis()
    figure.savefig(path)


if __name__ == "__main__":
    main()
