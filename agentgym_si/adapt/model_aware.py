"""Model-aware training data: labelled items that the current model can solve, and its own drafts.

ToolACE-R (arXiv 2504.01400), section 3: the difficulty of an item is the pass@k of the current
model; items that it solves at least once (and, where asked for, not always) are learned from, and
beside each the revision (q, T, A1, REFINE) -> A of its own draft A1. Pairs with A1 = A are kept:
they teach that nothing needs to change. Training goes on until the selected set stops growing.

Ours: the alarm. Labels may be wrong, and a model that has let some in selects more of them. A label
is contradicted where what the model says most often does not fit it; the share of such labels among
the selected needs no truth, and its rise is a warning. Its fall is no comfort: a model says what it
was taught, so labels it has learned contradict it no more; nor does the first model tell them apart
(both seen in `benchmarks/toolace_r.md`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_si.adapt.answers import canonical
from agentgym_si.adapt.refine import ASK, revision
from agentgym_si.errors import BadInput
from agentgym_si.policies.base import History
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Action, Trajectory, Weighted


@dataclass(frozen=True)
class Tried:
    """What k samples of the current model made of one labelled item."""

    item: str
    answers: tuple[str, ...]
    """(k,) what each sample said, in a form in which the same answers are equal."""
    passed: tuple[bool, ...]
    """(k,) whether it fits the label."""

    def __post_init__(self) -> None:
        """Check the lengths; raises BadInput."""
        if not self.answers or len(self.answers) != len(self.passed):
            raise BadInput(
                f"expected at least one answer and as many verdicts for {self.item}, got "
                f"{len(self.answers)} and {len(self.passed)}"
            )

    @classmethod
    def of(cls, group: Sequence[Trajectory]) -> Tried:
        """Return what k episodes of one task and seed did, and whether the reward was earned."""
        answers = tuple(
            "\n\n".join(canonical(text, trajectory.tools) for text in trajectory.actions)
            for trajectory in group
        )
        item = f"{group[0].task.id}/{group[0].seed}"
        return cls(item, answers, tuple(trajectory.solved for trajectory in group))

    @property
    def passes(self) -> int:
        """How many of the samples fit the label."""
        return sum(self.passed)

    @property
    def contradicted(self) -> bool:
        """Whether the answer given most often, the first of equals, does not fit the label."""
        ((most, _),) = Counter(self.answers).most_common(1)
        return not self.passed[self.answers.index(most)]


def select(tried: Sequence[Tried], least: int = 1, most: int | None = None) -> list[Tried]:
    """Return the items that at least `least` and at most `most` (None: all) samples solve."""
    return [one for one in tried if least <= one.passes and (most is None or one.passes <= most)]


def has_grown(selected: int, before: int, items: int, epsilon: float = 0.0) -> bool:
    """Say whether a round selected more than `epsilon` of all items more than the one before."""
    return selected - before > epsilon * items


def contradicted_share(selected: Sequence[Tried]) -> float:
    """Return the share of selected items whose label the model contradicts; 0 of none."""
    return sum(one.contradicted for one in selected) / max(len(selected), 1)


def chance(selected: int) -> float:
    """Return by how much a share of so many may rise by chance: two standard errors, at most."""
    return float(max(selected, 1) ** -0.5)


def drifts(shares: Sequence[float], tolerance: float = 0.0) -> bool:
    """Say whether the last of the rounds' contradicted shares lies above all earlier ones.

    Args:
        shares: one a round.
        tolerance: by how much it has to.
    """
    return len(shares) > 1 and shares[-1] > max(shares[:-1]) + tolerance


def refinement_row(
    tokens: ChatTokens,
    history: History,
    draft: Action,
    label: str,
    *,
    ask: str = ASK,
    origin: str = "",
) -> Weighted:
    """Return the row (q, T, A1, REFINE) -> A that teaches to revise a draft to the label."""
    completion = tokens.answer(label)
    return Weighted(
        context=tokens.prompt(revision(history, draft, ask)),
        completion=completion,
        weights=(1.0,) * len(completion),
        origin=origin,
        source="oracle",
    )
