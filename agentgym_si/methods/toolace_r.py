"""ToolACE-R: learn from labelled items that one can solve by now, and to revise one's drafts.

"ToolACE-R: Model-aware Iterative Training and Adaptive Refinement for Tool Learning" (arXiv
2504.01400). Each iteration: k samples of every item; those that at least `least` (and at most
`most`) samples solve are learned from, and beside each answer its revision (q, T, A1, REFINE) -> A
from the policy's greedy draft A1, drafts that are right included. The run ends where the selected
set stops growing. It is evaluated with adaptive refinement, as it would be played:
`refine:CHECKPOINT`.

Labels are the oracle's actions. Not stated in what was read of the paper, so options here: from
where each training starts, and how many samples pass. Ours: the alarm where more and more of the
selected labels contradict what the policy says most often.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentgym_si.adapt.answers import canonical
from agentgym_si.adapt.model_aware import (
    Tried,
    chance,
    contradicted_share,
    drifts,
    has_grown,
    refinement_row,
    select,
)
from agentgym_si.adapt.refine import ASK, Refine
from agentgym_si.curation import group_by_episode, usable
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.loop import Context
from agentgym_si.loop_methods import Regime
from agentgym_si.policies.base import History, Policy
from agentgym_si.types import Trajectory, Weighted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToolACER:
    """Model-aware iterative training with a refinement corpus."""

    samples: int = 4
    """k of pass@k."""
    least: int = 1
    """Samples that have to solve an item for it to be learned from."""
    most: int | None = None
    """Samples that may; None for all k."""
    epsilon: float = 0.0
    """The run goes on while the selected set grows by more than this share of the items."""
    start: Literal["previous", "base"] = "previous"
    """Where each training begins: at the policy of the time, or at the warm-started one."""
    rounds: int = 5
    """Most rounds of refinement where it is evaluated; 0 leaves revisions out altogether."""
    keep_right_drafts: bool = True
    """Learn from drafts that need no change; False is the paper's ablation."""
    ask: str = ASK
    labels_used: tuple[str, ...] = ("reward", "oracle")

    def __post_init__(self) -> None:
        """Check the numbers; raises BadInput and UnknownName."""
        most = self.samples if self.most is None else self.most
        if not 1 <= self.least <= most <= self.samples:
            raise BadInput(
                "expected 1 <= least <= most <= samples, got "
                f"{self.least}, {self.most} and {self.samples}"
            )
        if self.rounds < 0 or self.epsilon < 0:
            raise BadInput(
                f"expected rounds and epsilon of at least 0, got {self.rounds} and {self.epsilon}"
            )
        if self.start not in ("previous", "base"):
            raise UnknownName("start", str(self.start), ["previous", "base"])

    @property
    def regime(self) -> Regime:
        """The items are fixed and labelled; only the latest selection is learned from."""
        again = self.start == "base"
        return Regime(oracle=True, same_items=True, from_start=again, replays=False)

    def plays(self, policy: Policy) -> Policy:
        """Return the policy with adaptive refinement."""
        return Refine(policy, rounds=self.rounds, ask=self.ask) if self.rounds else policy

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of what is selected: the labels, and revisions of the drafts to them."""
        labels = {(t.task.id, t.seed): t for t in usable(context.labels) if t.solved}
        groups = {(g[0].task.id, g[0].seed): g for g in group_by_episode(trajectories)}
        tried = {key: Tried.of(group) for key, group in groups.items() if key in labels}
        chosen = set(select(list(tried.values()), self.least, self.most))
        kept = [labels[key] for key, one in tried.items() if one in chosen]
        self._note(len(tried), list(chosen), context)
        rows = [row for trajectory in kept for row in context.rows(trajectory, 1.0)]
        return [*rows, *self._revisions(kept, context)] if self.rounds else rows

    def _note(self, items: int, chosen: Sequence[Tried], context: Context) -> None:
        shares = [*context.before.get("contradicted_shares", ()), contradicted_share(chosen)]
        before = int(context.before.get("selected", 0))
        notes: dict[str, Any] = {
            "items": items,
            "selected": len(chosen),
            "contradicted_shares": shares,
            "drifts": drifts(shares, chance(len(chosen))),
            "stop": not has_grown(len(chosen), before, items, self.epsilon),
        }
        context.notes.update(notes)
        if notes["drifts"]:
            logger.warning(
                "iteration %d: more of the selected labels contradict the policy: %s",
                context.iteration,
                ", ".join(f"{share:.1%}" for share in shares),
            )

    def _revisions(self, kept: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return the rows that teach to revise the greedy drafts of every step."""
        steps = [(t, place) for t in kept for place in range(len(t.transitions))]
        histories = [History.before(trajectory, place) for trajectory, place in steps]
        drafts = context.policy.with_sampling(temperature=0.0).act(histories)
        rows = []
        for (trajectory, place), history, (draft,) in zip(steps, histories, drafts, strict=True):
            label = trajectory.transitions[place].action.text
            right = canonical(draft.text, trajectory.tools) == canonical(label, trajectory.tools)
            if self.keep_right_drafts or not right:
                tokens = context.policy.tokens
                rows.append(
                    refinement_row(
                        tokens, history, draft, label, ask=self.ask, origin=trajectory.id
                    )
                )
        return rows
