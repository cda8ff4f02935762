"""MBPP: programs, right and wrong, against the verdicts of its asserts in one process."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from agentgym_si.envs.coding.suites import read_suite
from parity_suites.programs import compare_rows, rows_of
from parity_suites.report import Report

PLACE = "code/mbpp"


def compare(data: Path, quick: bool) -> Report:
    """Judge every answer that has an official verdict; `quick` takes each tenth."""
    with gzip.open(data / "official_verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = list(rows_of(map(json.loads, lines), "MBPP/"))
    return compare_rows("mbpp", read_suite("mbpp", data), rows[:: 10 if quick else 1])
