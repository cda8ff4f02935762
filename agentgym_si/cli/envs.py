"""`agentgym-si envs`: every environment, its needs, and whether they are met here."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from agentgym_si.cli.output import people, print_json
from agentgym_si.envs import ENTRY_POINTS
from agentgym_si.errors import AgentGymError
from agentgym_si.needs import missing_needs
from agentgym_si.specs import make_env


def envs(
    json: Annotated[bool, typer.Option("--json", help="print JSON on standard output")] = False,
) -> None:
    """List every environment id, its tasks, its needs, and whether they are met here."""
    rows = [_describe(env_id) for env_id in ENTRY_POINTS]
    if json:
        print_json({"environments": rows})
        return
    table = Table("id", "tasks", "needs", "here")
    for row in rows:
        here = "ready" if row["ready"] else f"missing: {row['missing']}"
        table.add_row(row["id"], str(row["tasks"]), ", ".join(row["needs"]) or "nothing", here)
    people.print(table)


def _describe(env_id: str) -> dict[str, Any]:
    needs, missing = missing_needs(env_id)
    row: dict[str, Any] = {"id": env_id, "needs": needs, "missing": missing, "tasks": 0}
    if not missing:
        try:
            env = make_env(env_id)
            row["tasks"] = len(getattr(env.unwrapped, "task_ids", ()))
            env.close()
        except AgentGymError as error:
            row["missing"] = str(error)
    return row | {"ready": not row["missing"]}
