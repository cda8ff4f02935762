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
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two seeds of a smaller job")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-quickstart"))
    arguments = parser.parse_args()
    config = load_config()
    count = arguments.seeds
    if arguments.quick:
        count, config = min(count, 2), smaller(config)
    results = []
    for seed in range(arguments.first_seed, arguments.first_seed + count):
        results.append(run_seed(override(config, {"seed": seed}), arguments.out))
        print(json.dumps(results[-1]), flush=True)
    print(json.dumps(summary(results)))


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


if __name__ == "__main__":
    main()
