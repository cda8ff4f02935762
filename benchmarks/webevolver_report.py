"""E2 over its seeds: differences with intervals, and the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from webevolver_settings import ROUNDS, SHAPES, arms_of

from agentgym_si.evaluate import t_interval


def summarise(setting: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures over seeds."""
    names = list(arms_of(SHAPES[setting], 0))
    report: dict[str, Any] = {
        "setting": setting,
        "seeds": [result["seed"] for result in results],
    }
    for key, after, before in (
        ("we_minus_si", "we", "si"),
        ("we_minus_upsampled", "we", "upsampled"),
        ("shuffled_minus_si", "shuffled", "si"),
        ("always_accept_minus_we", "always", "we"),
        ("noise_0.2_minus_we", "noise-0.2", "we"),
        ("noise_0.5_minus_we", "noise-0.5", "we"),
    ):
        report |= paired(results, key, after, before)

    def mean(of: Callable[[Mapping[str, Any]], float | None]) -> dict[str, float]:
        found = {
            name: [of(r["arms"][name]) for r in results if name in r["arms"]] for name in names
        }
        return {
            name: round(float(np.mean([v for v in values if v is not None])), 4)
            for name, values in found.items()
            if any(value is not None for value in values)
        }

    report["arm_seeds"] = {name: sum(name in r["arms"] for r in results) for name in names}
    report["success"] = mean(lambda arm: arm["success"])
    report["before"] = [
        round(float(np.mean([r["arms"]["we"]["before"][i] for r in results])), 4)
        for i in range(ROUNDS)
    ]
    report["acceptance"] = mean(lambda arm: arm["synthesis"].get("acceptance"))
    report["imagined_rows"] = mean(lambda arm: float(arm["imagined_rows"]))
    report["rows_trained"] = mean(lambda arm: float(arm["rows_trained"]))
    report["real_steps"] = mean(lambda arm: float(arm["steps"]))
    report["horizon"] = [r["arms"]["we"]["synthesis"].get("horizon") for r in results]
    checked = [result["browser"] for result in results if "browser" in result]
    report["browser"] = {
        key: sum(check[key] for check in checked) for key in ("episodes", "steps", "different")
    }
    report["learned"] = {name: learned(results, name) for name in names}
    report["fidelity"] = fidelities(results)
    report["lookahead"] = looks_ahead(results)
    return report


def paired(
    results: Sequence[Mapping[str, Any]], key: str, after: str, before: str
) -> dict[str, Any]:
    """Return the mean difference of two arms with its 95 % Student interval over seeds."""
    both = [r["arms"] for r in results if after in r["arms"] and before in r["arms"]]
    changes = [arms[after]["success"] - arms[before]["success"] for arms in both]
    if len(changes) < 2:
        mean = changes[0] if changes else None
        return {f"{key}_mean": mean, f"{key}_low": None, f"{key}_high": None}
    mean, low, high = t_interval(changes)
    return {
        f"{key}_mean": round(mean, 4),
        f"{key}_low": round(low, 4),
        f"{key}_high": round(high, 4),
    }


def learned(results: Sequence[Mapping[str, Any]], arm: str) -> dict[str, Any]:
    """Return an arm's counts of `learned_of`, summed over the seeds that have them."""
    parts = [r["learned"][arm] for r in results if arm in r.get("learned", {})]
    held_out: dict[str, list[int]] = {}
    for part in parts:
        for kind, (solved, tasks) in part["held_out"].items():
            counts = held_out.setdefault(kind, [0, 0])
            counts[0] += solved
            counts[1] += tasks
    return {
        "kept": sum(part["kept"] for part in parts),
        "right": sum(part["right"] for part in parts),
        "held_out": held_out,
    }


def fidelities(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean F1 and exactness by world model, kind of step and depth."""
    found: dict[str, Any] = {}
    for number in range(1, ROUNDS + 1):
        for kind in ("by_depth", "forks"):
            parts = [r["fidelity"][f"world-{number}"][kind] for r in results if "fidelity" in r]
            depths = sorted({depth for part in parts for depth in part})
            found[f"world-{number} {kind}"] = {
                depth: {
                    metric: round(
                        float(np.mean([p[depth][metric] for p in parts if depth in p])),
                        4,
                    )
                    for metric in ("f1", "exact", "valid", "end", "reward")
                }
                for depth in depths
            }
    return found


def looks_ahead(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return success and successes per 1,000 tokens of each look, and of its control."""
    parts = [result["lookahead"] for result in results if "lookahead" in result]
    names = list(dict.fromkeys(name for part in parts for name in part))

    keys = ("success", "solved_per_1000_tokens", "tokens_a_step", "unscored")
    found: dict[str, Any] = {}
    for name in names:
        rows = [part[name] for part in parts if name in part]
        found[name] = mean_of(rows, keys) | {"seeds": len(rows)}
        if name != "greedy":
            found[name]["best_of_k"] = mean_of([row["control"] for row in rows], keys)
    return found


def mean_of(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, float]:
    """Return the mean over rows of each key's value."""
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in keys}


def table(report: Mapping[str, Any]) -> list[str]:
    """Return the report as Markdown."""
    again = report["browser"]
    chromium = f" Played again in Chromium: {again['steps']} steps, {again['different']} different."
    lines = [
        f"## {report['setting']}, seeds {report['seeds']}",
        "",
        f"Held-out success before the arms part: {report['before']} (after the warm start, and "
        f"after each iteration). Trusted depth: {report['horizon']}."
        f"{chromium if again['steps'] else ''}",
        "",
        "| arm | seeds | held-out success | imagined rows | rows trained | accepted | real steps |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, success in report["success"].items():
        accepted = report["acceptance"].get(name)
        share = "" if accepted is None else f"{accepted:.2f}"
        lines.append(
            f"| {name} | {report['arm_seeds'][name]} | {success:.3f} | "
            f"{report['imagined_rows'][name]:.0f} | "
            f"{report['rows_trained'][name]:.0f} | {share} | {report['real_steps'][name]:.0f} |"
        )
    lines += ["", "| difference | mean | 95 % interval |", "|---|---:|---:|"]
    for key in [key for key in report if key.endswith("_mean")]:
        name = key.removesuffix("_mean")
        low, high = report[f"{name}_low"], report[f"{name}_high"]
        if report[key] is not None:
            interval = "" if low is None else f"[{low:+.3f}, {high:+.3f}]"
            lines.append(f"| {name} | {report[key]:+.3f} | {interval} |")
    kinds = list(dict.fromkeys(k for row in report["learned"].values() for k in row["held_out"]))
    lines += [
        "",
        "| arm | imagined, kept | right in the world | " + " | ".join(kinds) + " |",
    ]
    lines.append("|---|" + "---:|" * (2 + len(kinds)))
    for name, row in report["learned"].items():
        cells = [row["held_out"].get(kind, (0, 0)) for kind in kinds]
        told = " | ".join(f"{solved} of {tasks}" for solved, tasks in cells)
        lines.append(f"| {name} | {row['kept']} | {row['right']} | {told} |")
    lines += [
        "",
        "| world model | depth | F1 | exact | valid | end |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, depths in report["fidelity"].items():
        for depth, row in depths.items():
            cells = " | ".join(f"{row[key]:.2f}" for key in ("f1", "exact", "valid", "end"))
            lines.append(f"| {name} | {depth} | {cells} |")
    lines += [
        "",
        "| look ahead | seeds | success | per 1,000 tokens | best-of-k, same tokens | per 1,000 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in report["lookahead"].items():
        control = row.get("best_of_k")
        other = (
            " | "
            if control is None
            else (f"{control['success']:.3f} | {control['solved_per_1000_tokens']:.2f}")
        )
        lines.append(
            f"| {name} | {row.get('seeds', '')} | {row['success']:.3f} | "
            f"{row['solved_per_1000_tokens']:.2f} | {other} |"
        )
    return lines
