"""QuixBugs: each program as it is and mended, against the verdicts of its own pytest files."""

from __future__ import annotations

import json
from pathlib import Path

from agentgym_si.envs.coding.suites import read_suite
from parity_suites.programs import Row, compare_rows
from parity_suites.report import Report

PLACE = "code/quixbugs"


def compare(data: Path, quick: bool) -> Report:
    """Judge both forms of every program; `quick` takes every other program."""
    text = (data / "quixbugs.jsonl").read_text(encoding="utf-8")
    programs = {row["name"]: row for row in map(json.loads, text.splitlines())}
    verdicts = (data / "official_verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        Row(row["name"], row["kind"], programs[row["name"]][row["kind"]], row["passed"])
        for row in map(json.loads, verdicts)
    ]
    chosen = list(programs)[:: 2 if quick else 1]
    rows = [row for row in rows if row.id in chosen]
    return compare_rows("quixbugs", read_suite("quixbugs", data), rows)
