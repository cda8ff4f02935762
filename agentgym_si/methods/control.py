"""The control arm of every method: the same number of updates on what was there at the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_si.loop import Context
from agentgym_si.types import Trajectory, Weighted


@dataclass(frozen=True)
class WarmOnly:
    """Collect nothing and go on training on the warm-start episodes."""

    samples: int = 0
    labels_used: tuple[str, ...] = ("oracle",)

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return no rows: the loop adds the warm start's own."""
        return []
