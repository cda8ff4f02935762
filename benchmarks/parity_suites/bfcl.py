"""BFCL: answers in call syntax and whole dialogues, against the verdicts of its own scorer."""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentgym_si.envs.bfcl_data import categories_in, load_tasks
from agentgym_si.envs.bfcl_scoring import Judgement, judge_text
from agentgym_si.envs.bfcl_worlds import TurnJudge, judge_turns
from agentgym_si.errors import MissingDependency
from agentgym_si.types import Task
from parity_suites.report import Difference, Report

PLACE = "tools/bfcl"


def compare(data: Path, quick: bool) -> Report:
    """Judge every answer that has an official verdict; `quick` takes each tenth."""
    report = Report("bfcl")
    for category, file in categories_in(data).items():
        verdicts = data / "official_verdicts" / f"{category}.jsonl.gz"
        if not verdicts.is_file():
            report.left_out[category] = "no official verdicts"
            continue
        tasks = {task.id: task for task in load_tasks(file, category)}
        rows = list(_rows(verdicts))[:: 10 if quick else 1]
        try:
            judged = [(row, _judge(row, tasks[row["id"]])) for row in rows]
        except MissingDependency as error:
            report.left_out[category] = str(error)
            continue
        report.parts[category] = len(judged)
        report.differences += [
            Difference(
                category, row["id"], row["kind"], row["valid"], ours.valid, _reason(row, ours)
            )
            for row, ours in judged
            if ours.valid != row["valid"]
        ]
    return report


def _judge(row: dict[str, Any], task: Task) -> Judgement:
    data = task.data
    if "turns" in row:
        long_context = "long_context" in data["category"]
        judge = TurnJudge(data["classes"], data["config"], data["answers"], long_context)
        return judge_turns(row["turns"], judge, len(data["answers"]))
    return judge_text(row["text"], data["category"], data["functions"], data["answers"])


def _reason(row: dict[str, Any], ours: Judgement) -> str:
    """Say which of the rules that we do not copy makes the difference, else what ours finds."""
    try:
        nodes = list(ast.walk(ast.parse(row.get("text", ""), mode="eval")))
    except SyntaxError:
        nodes = []
    if any(isinstance(node, ast.Call) and node.args for node in nodes):
        return "the official reader drops arguments without a name, ours names them"
    if any(isinstance(node, ast.BinOp) for node in nodes):
        return "the official reader evaluates arithmetic, ours refuses it"
    return ours.reason or f"the official scorer says {row.get('error_type')}, ours nothing"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
