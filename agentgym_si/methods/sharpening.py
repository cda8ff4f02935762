"""Sharpening: learn from the best of N by one's own log-probability, without any label.

"Self-Improvement in Language Models: The Sharpening Mechanism" (arXiv 2412.01951), algorithm
SFT-Sharpening: N samples a prompt, keep the one with the largest log π(y|x), imitate it. It moves
mass to the mode of the policy: where the mode is wrong, accuracy falls. Kept: the argmax over whole
episodes, scored at temperature 1. Deviation: the scorer is the policy that collected (the paper
freezes the base for all rounds); with one iteration they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_si.curation import group_by_episode
from agentgym_si.errors import BadInput
from agentgym_si.loop import Context
from agentgym_si.types import Trajectory, Weighted


@dataclass(frozen=True)
class Sharpening:
    """Keep the most probable of `samples` episodes of the same task and seed."""

    samples: int = 8
    """N; the paper needs about log(1/δ) / -log(1 - p*) for a mode of probability p*."""
    length_normalised: bool = False
    """Compare log-probability a token instead of a whole episode."""
    labels_used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.samples < 2:
            raise BadInput(f"expected samples of at least 2 to choose from, got {self.samples}")

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of weight 1 for the argmax of each group."""
        rows: list[Weighted] = []
        for group in group_by_episode(trajectories):
            scores = [self.score(trajectory, context) for trajectory in group]
            best = group[scores.index(max(scores))]
            rows += context.rows(best, 1.0)
        return rows

    def score(self, trajectory: Trajectory, context: Context) -> float:
        """Return log π of the episode's actions at temperature 1, in nats; -inf without tokens."""
        actions = [t.action for t in trajectory.transitions if t.source == "policy"]
        if not actions or not all(action.token_ids for action in actions):
            return float("-inf")
        logprobs = context.policy.logprobs(
            [action.prompt_ids for action in actions], [action.token_ids for action in actions]
        )
        total = sum(sum(step) for step in logprobs)
        return total / sum(map(len, logprobs)) if self.length_normalised else total
