"""What an episode asks for: one drawn goal, one way to it, and ways that must earn nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentgym_si.envs.sites.intents import Intent
from agentgym_si.envs.sites.internet import HOME
from agentgym_si.envs.sites.world import World


@dataclass(frozen=True)
class Problem:
    """One drawn goal.

    Success is the world that the solution leaves and, where they are asked for, a page that is
    shown, values that are told, or that it is said that it cannot be done.
    """

    world: World
    """What the episode begins with."""
    fields: Mapping[str, Any]
    """What the wording of the goal names."""
    steps: tuple[Intent, ...]
    """A solution."""
    start: str = HOME
    """The page that the episode begins on."""
    page: str = ""
    """The URL that has to be shown in the end; "" where it does not matter."""
    says: tuple[str, ...] = ()
    """Values that the user has to be told."""
    unsaid: tuple[str, ...] = ()
    """Values of the same kind that were not asked for: whoever tells them too only lists."""
    seen: tuple[str, ...] = ()
    """What has to have stood on a page before an answer counts: without it, it was guessed."""
    infeasible: bool = False
    """Whether the right thing is to report that it cannot be done."""
    wrong: tuple[tuple[Intent, ...], ...] = ()
    """Plays that must earn nothing: the wrong target, half of it, more than was wanted."""

    @property
    def answered(self) -> bool:
        """Whether the episode ends with what the user is told."""
        return bool(self.says) or self.infeasible


@dataclass(frozen=True)
class Kind:
    """A sort of goal: how one is drawn, and how it is worded."""

    site: str
    """The site it is about, "web" for several."""
    level: int
    """0: one or two actions; 1: up to four; 2: up to ten; 3: more, or on several sites."""
    draw: Callable[[World, np.random.Generator], Problem]
    """May also change the world that the episode begins with."""
    train: tuple[str, ...]
    """Wordings of the goal, with `{names}` of the problem's fields."""
    test: tuple[str, ...]
    """Wordings that are never trained on."""
    held_out: bool = False
    """Whether this kind is never trained on, though its site is."""

    @property
    def name(self) -> str:
        """The kind's name in ids: `shop-buy`."""
        return f"{self.site}-{self.draw.__name__.replace('_', '-')}"


def others(value: str, values: list[str]) -> tuple[str, ...]:
    """Return the different `values` without one of them."""
    return tuple(sorted(set(values) - {value}))
