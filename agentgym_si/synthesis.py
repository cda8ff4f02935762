"""What a method makes beside what it collects: the form of it, and how much of it is learned from.

A method with a function `synthesise(context)` is asked once an iteration, between collection and
curation, for trajectories of its own making: imagined by a world model, say. They are stored like
real ones, marked, and curated with them; `cap_imagined` keeps their share of the training bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import gymnasium as gym

from agentgym_si.errors import BadInput
from agentgym_si.types import Preference, Trajectory, Weighted

if TYPE_CHECKING:
    from agentgym_si.policies.hf import TransformersPolicy

R = TypeVar("R", bound=Weighted | Preference)


@dataclass(frozen=True)
class SynthesisContext:
    """What a method may use when it makes trajectories."""

    iteration: int
    policy: TransformersPolicy
    """The policy that collected, sampling at the temperature of collection."""
    warm: Sequence[Trajectory]
    """Episodes of the oracle that the policy was started on."""
    collected: Sequence[Sequence[Trajectory]]
    """Real episodes of each iteration so far, this one's last; never those of an evaluation."""
    folder: Path
    """The method's own in the run folder, the same in every iteration. A call that was killed is
    made once more, and may use what it finds whole."""
    start: Path
    """A checkpoint to start a world model from, of the policy's size: the policy's own beginning
    before it learned anything."""
    seed: int
    """Fixes all chance of this call."""
    env: Callable[[], gym.Env[str, str]]
    """Returns the real environment, for what it says and checks; a synthesis takes no steps in it.
    """
    max_tokens: int
    """Longest action, in tokens."""
    progress: Callable[[str, int, int], None]

    @property
    def real(self) -> list[Trajectory]:
        """All real episodes so far: the oracle's, then those of each iteration."""
        return [*self.warm, *(t for episodes in self.collected for t in episodes)]

    @property
    def prefix(self) -> str:
        """How the ids of what is made begin."""
        return f"imagined/{self.iteration}/"


@dataclass(frozen=True)
class Synthesis:
    """What a method made."""

    trajectories: Sequence[Trajectory]
    """Marked: `world` is not "real", `world_version` says what answered."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """What is worth knowing of it, JSON only; it goes into the iteration's entry."""


class Synthesiser(Protocol):
    """A method that makes trajectories."""

    def synthesise(self, context: SynthesisContext) -> Synthesis:
        """Return what is made; the same context gives the same."""


def check_synthesis(made: Synthesis, context: SynthesisContext) -> Synthesis:
    """Return it; raises BadInput for trajectories that are not marked as made, or of wrong ids."""
    for trajectory in made.trajectories:
        if trajectory.world == "real" or not trajectory.world_version:
            raise BadInput(
                "expected made trajectories with a world other than real and a world_version, got "
                f"{trajectory.world!r} and {trajectory.world_version!r} in {trajectory.id}"
            )
        if not trajectory.id.startswith(context.prefix):
            raise BadInput(f"expected an id that begins {context.prefix}, got {trajectory.id}")
    return made


def cap_imagined(rows: Sequence[R], share: float, beside: Sequence[R] = ()) -> list[R]:
    """Return the rows with as many imagined ones left out as `share` asks, evenly over them.

    Args:
        rows: in order.
        share: most imagined rows among `rows` and `beside` together, in [0, 1].
        beside: what is learned from too, and stays as it is.

    Raises BadInput for a share outside [0, 1], and where it leaves nothing to learn from, since
    there is no real row at all.
    """
    if not 0.0 <= share <= 1.0:
        raise BadInput(f"expected a share in [0, 1], got {share}")
    places = [index for index, row in enumerate(rows) if row.world != "real"]
    before = sum(row.world != "real" for row in beside)
    real = len(rows) - len(places) + len(beside) - before
    allowed = len(places)
    if places and not real and share < 1.0:
        raise BadInput(
            f"expected real rows beside the {len(places)} imagined ones, got none: an "
            f"imagined_share of {share} leaves nothing; 1 learns from imagined rows alone"
        )
    if share < 1.0:  # (before + n) <= share * (real + before + n)
        allowed = max(0, min(allowed, int(share * real / (1.0 - share) + 1e-9) - before))
    kept = {places[index * len(places) // allowed] for index in range(allowed)} if allowed else ()
    dropped = set(places).difference(kept)
    return [row for index, row in enumerate(rows) if index not in dropped]


def share_imagined(rows: Sequence[Weighted | Preference]) -> float:
    """Return the share of rows that no real world answered; 0 of none."""
    return sum(row.world != "real" for row in rows) / len(rows) if rows else 0.0
