"""What the code suites share: answers judged in boxes, beside the official verdict of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import NamedTuple

from agentgym_si.envs.coding.problems import Problem
from agentgym_si.envs.coding.scoring import Judge, Judgement
from agentgym_si.sandboxes.base import Limits
from agentgym_si.sandboxes.opening import SandboxSource, open_sandbox
from parity_suites.report import Difference, Report

SANDBOX: SandboxSource = "auto"
SECONDS = 10.0
"""What an answer may take; the official scorers give 3 (HumanEval, MBPP) and 20 (QuixBugs)."""

HOLES = {"SP_always_equal": "the official scorer lets the answer's own __eq__ compare"}
"""Kinds of wrong answer that the official scorer is known to pass."""


class Row(NamedTuple):
    """An answer with its official verdict."""

    id: str
    kind: str
    text: str
    official: bool


Reason = Callable[[Row, Judgement], str]


def compare_rows(
    suite: str, problems: Iterable[Problem], rows: Iterable[Row], reason: Reason | None = None
) -> Report:
    """Judge every answer; `reason` may say why a verdict differs, "" for what is known anyway."""
    report = Report(suite)
    known = {problem.id: problem for problem in problems}
    with _judge() as judge:
        for row in rows:
            part = "reference" if row.kind in ("reference", "correct") else "wrong on purpose"
            report.parts[part] = report.parts.get(part, 0) + 1
            ours = judge.test(known[row.id], row.text)
            if ours.passed != row.official:
                why = (reason(row, ours) if reason else "") or _reason(row, ours)
                report.differences.append(
                    Difference(
                        part,
                        row.id,
                        row.kind,
                        row.official,
                        ours.passed,
                        why,
                        avoidable=row.kind not in HOLES,
                    )
                )
    return report


def rows_of(verdicts: Iterable[Mapping[str, object]], prefix: str = "") -> Iterator[Row]:
    """Read rows of the form that HumanEval's and MBPP's verdicts have."""
    for row in verdicts:
        name = f"{prefix}{row['id']}"
        yield Row(name, str(row["kind"]), str(row["completion"]), bool(row["passed"]))


@contextmanager
def _judge() -> Iterator[Judge]:
    with closing(Judge(lambda: open_sandbox(SANDBOX, Limits(memory_mib=512)), SECONDS)) as judge:
        yield judge


def _reason(row: Row, ours: Judgement) -> str:
    return HOLES.get(row.kind) or ours.reason or "ours passes what the official scorer fails"
