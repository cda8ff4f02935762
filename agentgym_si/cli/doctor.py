"""`agentgym-si doctor`: what is missing here, and the command that brings it."""

from __future__ import annotations

from typing import Annotated

import typer

from agentgym_si.cli.output import people, print_json
from agentgym_si.needs import EXTRAS, check_need
from agentgym_si.sandboxes.opening import TIERS, probe


def doctor(
    json: Annotated[bool, typer.Option("--json", help="print JSON on standard output")] = False,
) -> None:
    """Check packages, browser and sandboxes; exit 1 where something is missing."""
    problems = {need: check_need(need) for need in (*EXTRAS, "browser", "sandbox")}
    sandboxes = [probe(tier) for tier in TIERS]
    if json:
        print_json(
            {
                "needs": problems,
                "sandboxes": {found.tier: found._asdict() for found in sandboxes},
                "ok": not any(problems.values()),
            }
        )
    else:
        for need, problem in problems.items():
            people.print(f"{need:<14}{problem or 'ok'}", highlight=False, markup=False)
        for found in sandboxes:
            state = "ok" if found.works else found.why
            people.print(f"  {found.tier:<12}{state}", highlight=False, markup=False)
    if any(problems.values()):
        raise typer.Exit(1)
