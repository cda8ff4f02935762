"""`agentgym-si gc`: remove what the sandboxes of dead runs left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from agentgym_si.cli.output import people, print_json
from agentgym_si.sandboxes.opening import collect_garbage


def gc(
    json: Annotated[bool, typer.Option("--json", help="print JSON on standard output")] = False,
) -> None:
    """Remove containers and folders whose owner, a process of this machine, is gone."""
    removed = collect_garbage()
    if json:
        print_json({"removed": removed})
        return
    for line in removed or ["nothing was left behind"]:
        people.print(line, highlight=False, markup=False)
