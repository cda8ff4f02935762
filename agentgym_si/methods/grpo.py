"""GRPO in rounds: several episodes of a task, each credited with its return less the group's mean.

DeepSeekMath (arXiv 2402.03300). Deviation: an iteration plays all its episodes first and then makes
many clipped updates on them, so it is the off-policy end of GRPO; `agentgym_si.training.grpo` plays
anew for each update. With `objective="nft"` the same episodes are learned from by NFT (2505.18116).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentgym_si.curation import group_by_episode
from agentgym_si.errors import BadInput
from agentgym_si.loop import Context
from agentgym_si.training.advantages import group_advantages
from agentgym_si.types import Trajectory, Weighted


@dataclass(frozen=True)
class GRPO:
    """Learn from `samples` episodes of each task and seed by how much better than their mean."""

    samples: int = 8
    scale: Literal["deviation", "none"] = "deviation"
    """Whether advantages are divided by their group's deviation; NFT wants "none"."""
    objective: Literal["grpo", "dapo", "nft"] = "grpo"
    labels_used: tuple[str, ...] = ("reward",)

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.samples < 2:
            raise BadInput(f"expected samples of at least 2 to compare, got {self.samples}")
        if self.objective == "nft" and self.scale != "none":
            raise BadInput('expected scale "none" with objective "nft", which reads rates off it')

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of all episodes whose group has both better and worse ones."""
        rows: list[Weighted] = []
        for group in group_by_episode(trajectories):
            returns = [trajectory.episode_return for trajectory in group]
            (advantages,) = group_advantages([returns], scale=self.scale)
            for trajectory, advantage in zip(group, advantages.tolist(), strict=True):
                rows += context.rows(trajectory, advantage) if advantage else []
        return rows
