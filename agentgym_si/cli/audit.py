"""`agentgym-si audit`: does an environment keep its word?"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from agentgym_si import codec
from agentgym_si.audit import AuditReport
from agentgym_si.audit import audit as audit_env
from agentgym_si.cli.output import people, print_json, progress_bars
from agentgym_si.errors import BadInput
from agentgym_si.specs import check_env_id, make_env


def audit(
    env: Annotated[str, typer.Argument(help="environment id, or module:id")],
    task: Annotated[str | None, typer.Option(help="task id or glob; default all")] = None,
    seeds: Annotated[int, typer.Option(help="seeds a task")] = 2,
    json: Annotated[bool, typer.Option("--json", help="print JSON on standard output")] = False,
) -> None:
    """Play oracle, no-op, random and cheats; exit 1 where a task breaks its word."""
    if seeds < 1:
        raise BadInput(f"expected --seeds of at least 1, got {seeds}")
    check_env_id(env)
    options: dict[str, Any] = {} if task is None else {"task": task}
    world = make_env(env, **options)
    total = len(getattr(world.unwrapped, "task_ids", ()))
    done = 0
    with progress_bars() as progress:

        def advance(_: Any) -> None:
            nonlocal done
            done += 1
            progress("tasks", done, total)

        try:
            report = audit_env(world, seeds=seeds, on_task=advance)
        finally:
            world.close()
    if json:
        print_json(codec.encode(report) | {"ok": report.ok})
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


def _show(report: AuditReport) -> None:
    table = Table("task", "oracle", "no-op", "random", "cheats", "verdict")
    for row in report.tasks:
        scores = (row.oracle, row.noop, row.random, row.cheat)
        cells = ["" if value is None else f"{value:.2f}" for value in scores]
        verdict = f"{row.verdict}: {row.reason}" if row.reason else row.verdict
        table.add_row(row.task, *cells, verdict)
    people.print(table)
    verdicts = [row.verdict for row in report.tasks]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("ok", "no oracle", "failed"))
    people.print(f"{report.env_id}: {counts}, {report.seeds} seeds a task", highlight=False)
