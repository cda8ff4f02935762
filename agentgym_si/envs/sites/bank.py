"""The tasks of `agentgym_si/Sites-v0`: every kind of goal, its wordings, and its split."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_si.envs.sites import (
    goals_calendar,
    goals_forum,
    goals_mail,
    goals_shop,
    goals_travel,
    goals_web,
    goals_wiki,
)
from agentgym_si.envs.sites.goals import Kind
from agentgym_si.types import Task

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for module in (
        goals_shop,
        goals_forum,
        goals_wiki,
        goals_mail,
        goals_calendar,
        goals_web,
        goals_travel,
    )
    for kind in module.KINDS
}
"""Every sort of goal by its name."""

HELD_OUT_SITE = "travel"
"""No goal on this site is ever trained on."""

TASKS = (4, 2)
"""Tasks of each kind: so many to train on, and so many in words never trained on."""

STEPS = (6, 10, 16, 25)
"""Steps after which a task of each level is truncated."""


def bundled_tasks() -> list[Task]:
    """Return the tasks of all kinds."""
    return [
        Task(
            id=f"{kind.name}-{number}",
            goal=wording,
            data={"kind": kind.name, "level": kind.level, "site": kind.site},
            split=split,
        )
        for kind in KINDS.values()
        for number, (split, wording) in enumerate(_numbered(kind))
    ]


def _numbered(kind: Kind) -> list[tuple[str, str]]:
    """Return split and wording of each of a kind's tasks."""
    train, test = TASKS
    if kind.held_out or kind.site == HELD_OUT_SITE:
        split = "test-site" if kind.site == HELD_OUT_SITE else "test-kind"
        wordings = kind.train + kind.test
        return [(split, wordings[number % len(wordings)]) for number in range(train + test)]
    return [("train", kind.train[number % len(kind.train)]) for number in range(train)] + [
        ("test", kind.test[number % len(kind.test)]) for number in range(test)
    ]
