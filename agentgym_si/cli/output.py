"""What all commands print with: one console for people, plain JSON for scripts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

people = Console(stderr=True)
"""Progress and tables for people go to standard error where JSON goes to standard output."""


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(data, indent=2))


def interval(score: Mapping[str, Any]) -> str:
    """Return a score as `62.5 % [54.1, 70.2]`."""
    return f"{score['success']:6.1%} [{score['low']:.1%}, {score['high']:.1%}]"


def say_warnings() -> None:
    """Show the package's own warnings (a dropped line, say) to people."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("note: %(message)s"))
    handler.setLevel(logging.WARNING)
    package = logging.getLogger("agentgym_si")
    if not package.handlers:
        package.addHandler(handler)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a progress callback that draws one bar a phase."""
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=people) as bars:
        known: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in known:
                known[phase] = bars.add_task(phase, total=total)
            bars.update(known[phase], completed=done, total=total)

        yield show


def folder_line(folder: Path) -> str:
    """Return the line that says where a run is."""
    return f"run folder  {folder}"
