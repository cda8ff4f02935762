"""WebArena: scores of answers and addresses, against its own evaluators' and the strict rule's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentgym_si.envs.web.webarena_scoring import Scores, score_answer, score_url
from parity_suites.report import Difference, Report

PLACE = "web/webarena"
VERDICTS = "official_verdicts.jsonl.gz"


def compare(data: Path, quick: bool) -> Report:
    """Score every row that has an official verdict; `quick` takes each tenth.

    Printed beside it: how many of each kind the official rule takes, and the strict one.
    """
    report = Report("webarena")
    taken: dict[str, list[Scores]] = {}
    for row in list(_rows(data / VERDICTS))[:: 10 if quick else 1]:
        part = f"{row['evaluator']}, {row['kind']}"
        scores = _score(row)
        taken.setdefault(part, []).append(scores)
        report.parts[part] = report.parts.get(part, 0) + 1
        if scores.official != row["score"]:
            said = row.get("answer", row.get("url"))
            difference = Difference(
                part, str(row["task_id"]), row["kind"], row["score"], scores.official, repr(said)
            )
            report.differences.append(difference)
    for part, scored in taken.items():
        official, strict = (sum(score[rule] for score in scored) for rule in (0, 1))
        print(f"{part:<32} of {len(scored)}: official {official:g}, strict {strict:g}")
    return report


def _score(row: dict[str, Any]) -> Scores:
    if row["evaluator"] == "url_match":
        return score_url(row["url"], row["reference_url"])
    return score_answer(row["answer"], row["reference_answers"])


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
