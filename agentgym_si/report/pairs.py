"""Two phases of a run, episode by episode: what is solved now and was not, and the other way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any, NamedTuple

import numpy as np

from agentgym_si.errors import UnknownName
from agentgym_si.evaluate import bootstrap_interval, mcnemar
from agentgym_si.report.index import Index

MOST_FLIPS = 500
"""Flips listed one by one."""

MOST_DRAWN = 2000
"""Pairs up to which the interval is drawn: a bootstrap holds 4,000 numbers a pair."""

_SIDE = """
SELECT id, task, seed, status,
       ROW_NUMBER() OVER (PARTITION BY task, seed ORDER BY sample, number) AS nth
FROM episodes WHERE phase = ?
"""


class Pair(NamedTuple):
    """One episode (task, seed, how manieth of the same) as two phases played it."""

    task: str
    seed: int
    before: str
    """Id of the trajectory."""
    after: str
    solved_before: bool
    solved_after: bool

    @property
    def change(self) -> int:
        """1 gained, -1 lost, 0 as it was."""
        return self.solved_after - self.solved_before


def pairs(index: Index, before: str, after: str) -> list[Pair]:
    """Return the episodes both phases played and neither failed in the box.

    Raises UnknownName for a phase without episodes.
    """
    with index.connect() as database:
        known = [row[0] for row in database.execute("SELECT DISTINCT phase FROM episodes")]
        for name in (before, after):
            if name not in known:
                raise UnknownName("phase", name, known)
        earlier, later = _side(database, before), _side(database, after)
    found = []
    for place, (first, status) in earlier.items():
        second, status_after = later.get(place, ("", "failure"))
        if "failure" not in (status, status_after):
            solved = status == "solved", status_after == "solved"
            found.append(Pair(place[0], place[1], first, second, *solved))
    return found


def _side(database: Connection, phase: str) -> dict[tuple[str, int, int], tuple[str, str]]:
    """Return a phase's ids and statuses by task, seed and how manieth of the same.

    Joined here and not by SQLite, which goes through all of one side for each of the other.
    """
    rows = database.execute(_SIDE, (phase,))
    return {(task, seed, nth): (name, status) for name, task, seed, status, nth in rows}


def change(played: Sequence[Pair]) -> dict[str, Any]:
    """Return the paired difference with its 95 % interval and test, as `Comparison` has them.

    Difference, interval and test are None where nothing was played twice; of very many pairs the
    interval alone.
    """
    gained = sum(pair.change > 0 for pair in played)
    lost = sum(pair.change < 0 for pair in played)
    counts = {"n": len(played), "gained": gained, "lost": lost}
    if not played:
        return counts | dict.fromkeys(("difference", "low", "high", "p_value"))
    low, high = None, None
    if len(played) <= MOST_DRAWN:
        ordered = sorted(played, key=lambda pair: (pair.task, pair.seed))
        low, high = bootstrap_interval(np.array([p.change for p in ordered], dtype=np.float64))
    difference = (gained - lost) / len(played)
    p_value = mcnemar(gained, lost) if gained + lost <= MOST_DRAWN else None
    return counts | {"difference": difference, "low": low, "high": high, "p_value": p_value}


def comparison(index: Index, before: str, after: str) -> dict[str, Any]:
    """Return what the comparing page shows: the test, each task's counts, and the flips."""
    played = pairs(index, before, after)
    flips = [pair for pair in played if pair.change]
    kept = sum(pair.solved_before and pair.solved_after for pair in played)
    return {
        "before": before,
        "after": after,
        **change(played),
        "both": kept,
        "neither": len(played) - kept - len(flips),
        "by_task": list(_by_task(played)),
        "flips": [pair._asdict() for pair in flips[:MOST_FLIPS]],
        "flips_left_out": max(0, len(flips) - MOST_FLIPS),
    }


def _by_task(played: Iterable[Pair]) -> Iterable[Mapping[str, Any]]:
    tasks: dict[str, list[Pair]] = defaultdict(list)
    for pair in played:
        tasks[pair.task].append(pair)
    for task, own in sorted(tasks.items()):
        yield {
            "task": task,
            "n": len(own),
            "before": sum(pair.solved_before for pair in own),
            "after": sum(pair.solved_after for pair in own),
            "gained": sum(pair.change > 0 for pair in own),
            "lost": sum(pair.change < 0 for pair in own),
        }
