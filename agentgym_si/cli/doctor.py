"""`agentgym-si doctor`: what is missing here, and the command that brings it."""

from __future__ import annotations

from typing import Annotated

import typer

from agentgym_si.cli.output import people, print_json
from agentgym_si.needs import EXTRAS, check_need


def doctor(
    json: Annotated[bool, typer.Option("--json", help="print JSON on standard output")] = False,
) -> None:
    """Check packages and browser; exit 1 where something is missing."""
    problems = {need: check_need(need) for need in (*EXTRAS, "browser")}
    if json:
        print_json({"needs": problems, "ok": not any(problems.values())})
    else:
        for need, problem in problems.items():
            people.print(f"{need:<14}{problem or 'ok'}", highlight=False, markup=False)
    if any(problems.values()):
        raise typer.Exit(1)
