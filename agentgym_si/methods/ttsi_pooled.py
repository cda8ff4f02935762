"""TT-SI's neighbours, pooled into lasting training: another method than TT-SI.

The gate and the neighbours are those of `methods/ttsi.py` (arXiv 2510.07841), made for all
instances of an iteration; nothing is put back. The episodes themselves, and their rewards, are not
learned from. Figures of test-time adaptation do not hold for it, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentgym_si.errors import BadInput
from agentgym_si.loop import Context
from agentgym_si.methods.ttsi import TTSI
from agentgym_si.policies.base import History
from agentgym_si.synthesis import Synthesis, SynthesisContext
from agentgym_si.types import Trajectory, Weighted


@dataclass(frozen=True)
class TTSIPooled:
    """Learn for good from the neighbours of what the policy was unsure of."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of `TTSI`."""
    samples: int = 1
    """Episodes of each task and seed: where instances come from."""
    labels_used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the settings; raises BadInput."""
        if TTSI(**self.settings).practice:
            raise BadInput("expected neighbours that need no environment, got practice")

    def synthesise(self, context: SynthesisContext) -> Synthesis:
        """Return the neighbours of the collected episodes' beginnings, where the gate opens."""
        composed = TTSI(**self.settings)
        gate, augment = composed.gate(), composed.augment()
        if "candidates" in gate.needs:
            raise BadInput("expected a preset whose candidates are in the history, got web")
        begun = [History.before(one, 0) for one in context.collected[-1]]
        histories = list({history.observation: history for history in begun}.values())
        sure = gate.signal.certainty(context.policy, histories)
        unsure = [h for h, u in zip(histories, sure, strict=True) if gate.opens(u)]
        made = augment.neighbours(context.policy, unsure) if unsure else []
        taken = [one.trajectory for own in made for one in own if not one.rejected]
        marked = [
            replace(
                one, id=f"{context.prefix}{number}/{one.id}", world_version=context.policy.version
            )
            for number, one in enumerate(taken)
        ]
        rejected = sum(bool(one.rejected) for own in made for one in own)
        report = {"instances": len(histories), "uncertain": len(unsure), "rejected": rejected}
        return Synthesis(marked, report)

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return the rows of what was made."""
        made = [one for one in trajectories if one.world == "imagined"]
        return [row for one in made for row in context.rows(one, 1.0)]
