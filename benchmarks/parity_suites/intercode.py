"""InterCode (bash): what the official environment gave for commands, and what ours gives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agentgym_si.envs.shell import ShellEnv
from parity_suites.report import Difference, Report

PLACE = "code/intercode"
SOLVED = 0.99
CLOSE = 0.0099
"""Rewards are sums of numbers of two decimals: any that differ do so by 0.01 at least."""

WORLD = {
    "whole system": "the command reads all of the system, whose files and rights are others here",
    "folder sizes": "a folder of our tmpfs is smaller than one of the official disk",
    "programs": "a program is installed in one of the two worlds only",
}
TASKS = {
    **dict.fromkeys(("fs1-6", "fs1-21", "fs1-30", "fs1-55"), "whole system"),
    **dict.fromkeys(("fs3-16", "fs3-20", "fs3-22"), "folder sizes"),
    **dict.fromkeys(("fs3-54",), "programs"),
}
"""Tasks whose commands see what of the official world we do not have."""

NOT_REPEATED = "officially the gold command does not always earn the full reward against itself"
LOST = "the official environment lost the output of the command or of the gold one"
UNAVOIDABLE = (NOT_REPEATED, LOST, WORLD["whole system"])
"""Reasons that no environment elsewhere could do away with."""

VARIES = "official verdict varies"
REPEATS = "official verdict repeats"


def compare(data: Path, quick: bool) -> Report:
    """Play every row's commands; `quick` takes each tenth row.

    Two verdicts agree where success is the same and the rewards differ by less than 0.01. Rows of
    tasks whose gold command does not always earn the full reward officially, compared with itself,
    are a part of their own: no environment could agree with all of them.
    """
    report = Report("intercode")
    rows = list(_rows(data))
    varying = {_task(row) for row in rows if _varies(row)}
    with ShellEnv(suite="intercode", data=data) as env:
        for row in rows[:: 10 if quick else 1]:
            part = VARIES if _task(row) in varying else REPEATS
            report.parts[part] = report.parts.get(part, 0) + 1
            seen, told = _play(env, row["actions"], _task(row))
            ours = round(told["official_reward"], 2)
            official = round(row["reward"], 2)
            same_success = told["success"] == (official >= SOLVED)
            if not same_success or abs(ours - official) > CLOSE:
                reason = _reason(row, seen, told, part)
                report.differences.append(
                    Difference(
                        part,
                        _task(row),
                        row["kind"],
                        official,
                        ours,
                        reason,
                        avoidable=not reason.startswith(UNAVOIDABLE),
                    )
                )
    return report


def _task(row: dict[str, Any]) -> str:
    return f"fs{row['fs']}-{row['i']}"


def _varies(row: dict[str, Any]) -> bool:
    """Say whether the gold command, as the last one, did not earn all against itself."""
    return row["kind"] in ("reference", "wrong_then_gold") and row["reward"] < SOLVED


def _play(env: ShellEnv, actions: Sequence[str], task: str) -> tuple[str, dict[str, Any]]:
    """Return the last command's output and what `info` is told."""
    env.reset(seed=0, options={"task": task})
    seen = ""
    for action in actions:
        seen, _, _, _, told = env.step(action)
        if "failure" in told:
            raise RuntimeError(f"{task}: {told['failure']}")
    return seen, env.step("submit()")[4]


def _reason(row: dict[str, Any], seen: str, told: dict[str, Any], part: str) -> str:
    official = row["observation"]
    if part == VARIES:
        why = NOT_REPEATED
    elif ("command not found" in seen) != ("command not found" in official):
        why = WORLD["programs"]
    elif _task(row) in TASKS:
        why = WORLD[TASKS[_task(row)]]
    elif not official.strip():
        why = LOST
    else:
        why = "the gold command's own output or files differ"
    parts = [name for name, value in row["parts"].items() if told["parts"][name] != value]
    return f"{why} ({', '.join(parts)})"


def _rows(data: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(data.glob("official_verdicts_fs*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)
