"""Rejection-sampling fine-tuning: learn from what the verifier accepts of one's own episodes.

STaR (arXiv 2203.14465), RFT (arXiv 2308.01825). Left out of STaR: rationalisation with the answer
as a hint. With `threshold=0` nothing is rejected: unfiltered self-training, the control arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_si.curation import (
    Judge,
    cap_per_task,
    deduplicate,
    episode_return,
    keep_scored,
    shortest_per_episode,
)
from agentgym_si.errors import BadInput
from agentgym_si.loop import Context
from agentgym_si.types import SOLVED, Trajectory, Weighted


@dataclass(frozen=True)
class RFT:
    """Keep what scores at `threshold` or above, without repeats, at most `cap` a task."""

    samples: int = 1
    """Episodes of each task and seed."""
    threshold: float = SOLVED
    """Lowest score kept; the return by default."""
    shortest: bool = False
    """Keep one solution of each task and seed, with the fewest steps; else all that differ."""
    cap: int | None = None
    """Most episodes kept of one task and iteration; None for all."""
    judge: Judge = episode_return
    labels_used: tuple[str, ...] = ("reward",)

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.samples < 1:
            raise BadInput(f"expected samples of at least 1, got {self.samples}")
        if self.cap is not None and self.cap < 1:
            raise BadInput(f"expected cap of at least 1 or None, got {self.cap}")

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of weight 1 for what is kept."""
        scored = keep_scored(trajectories, self.threshold, self.judge)
        kept = shortest_per_episode(scored) if self.shortest else deduplicate(scored)
        if self.cap is not None:
            kept = cap_per_task(kept, self.cap)
        return [row for trajectory in kept for row in context.rows(trajectory, 1.0)]
