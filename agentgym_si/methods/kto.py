"""KTO (arXiv 2402.01306): solved episodes are good, others bad, each by itself; no pairs needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_si.curation import deduplicate, usable
from agentgym_si.errors import BadInput
from agentgym_si.loop import Context
from agentgym_si.types import Trajectory, Weighted


@dataclass(frozen=True)
class KTO:
    """Learn from all that differ of one's own episodes, by whether they were solved."""

    samples: int = 4
    """Episodes of each task and seed."""
    objective: str = "kto"
    labels_used: tuple[str, ...] = ("reward",)

    def __post_init__(self) -> None:
        """Check the number."""
        if self.samples < 1:
            raise BadInput(f"expected samples of at least 1, got {self.samples}")

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of weight 1 and -1."""
        return [
            row
            for trajectory in deduplicate(usable(trajectories))
            for row in context.rows(trajectory, 1.0 if trajectory.solved else -1.0)
        ]
