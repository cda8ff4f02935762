"""HumanEval: completions, right and wrong, against the verdicts of OpenAI's scorer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from agentgym_si.envs.coding.suites import read_suite
from parity_suites.programs import compare_rows, rows_of
from parity_suites.report import Report

PLACE = "code/humaneval"


def compare(data: Path, quick: bool) -> Report:
    """Judge every answer that has an official verdict; `quick` takes each fifth."""
    with gzip.open(data / "official_verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = list(rows_of(map(json.loads, lines)))
    return compare_rows("humaneval", read_suite("humaneval", data), rows[:: 5 if quick else 1])
