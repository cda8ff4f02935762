"""WebEvolver (arXiv 2504.21024): policy and world model learn side by side from real episodes.

An iteration plays in the world, trains the world model on all real transitions so far, successful
or not, and lets the policy play in imagination what it has never solved, from the real first
observation on, to the depth to which the world model is found true. What a judge accepts is learned
from beside what the world accepted. Deviations: imagination is cut by measured fidelity, not at
seven steps; the judge may be the world model's own reward, or a checker; the published hint that
makes the world model show the answer is not given (`Wording.final_hint` has it, for ablation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentgym_si.curation import deduplicate
from agentgym_si.errors import BadInput
from agentgym_si.evolving import WorldSettings, evolve
from agentgym_si.imagining import admit, attempts, unsolved
from agentgym_si.judging.by_name import check_judge, load_judge
from agentgym_si.loop import Context
from agentgym_si.methods.rft import RFT
from agentgym_si.synthesis import Synthesis, SynthesisContext
from agentgym_si.types import Trajectory, Weighted
from agentgym_si.worldmodel.imagined import Imagining, imagine, stored_firsts


@dataclass(frozen=True)
class WebEvolver(RFT):
    """RFT on real episodes, and on imagined ones of what they left unsolved."""

    attempts: int = 8
    """Imagined episodes of each task and seed that no real episode solved."""
    temperature: float | None = None
    """Of the policy in imagination, where trying costs no real step; None for that of collection.
    """
    accept: str = "return"
    """Who judges them, see `judging.by_name`: "return" believes the world model's rewards."""
    accept_from: float = 0.5
    """Lowest score of an imagined episode that is learned from."""
    most: int = 1
    """Most imagined episodes kept of a task and seed."""
    first_iteration: int = 1
    """Iterations before this one train the world model and imagine nothing yet."""
    world: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `WorldSettings`."""
    noise: float = 0.0
    """Control: share of predictions that are of another state; 1 is a shuffled world model."""
    in_flight: int = 64
    """Episodes imagined at the same time."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.attempts < 1 or self.most < 1 or self.in_flight < 1:
            raise BadInput(
                f"expected attempts, most and in_flight of at least 1, got {self.attempts}, "
                f"{self.most} and {self.in_flight}"
            )
        if self.temperature is not None and not self.temperature > 0:
            raise BadInput(f"expected a temperature above 0 or None, got {self.temperature}")
        check_judge(self.accept)
        WorldSettings(**self.world)

    def synthesise(self, context: SynthesisContext) -> Synthesis:
        """Train the world model, imagine what was not solved, keep what the judge accepts."""
        world = evolve(context, WorldSettings(**self.world), noise=self.noise)
        left = unsolved(context.collected)
        report = {**world.report, "unsolved": len(left)}
        if not left or world.horizon == 0 or context.iteration < self.first_iteration:
            return Synthesis([], report)
        episodes = attempts(left, self.attempts, context.prefix, context.seed)
        context.progress(f"imagine {context.iteration}", 0, len(episodes))
        tried = imagine(
            context.env(),
            world.model,
            context.policy.with_sampling(temperature=self.temperature),
            episodes,
            Imagining(horizon=world.horizon, seed=context.seed),
            first=stored_firsts(left),
            in_flight=self.in_flight,
        )
        judge = load_judge(self.accept, context.policy)
        let = admit(tried, judge, threshold=self.accept_from, most=self.most)
        context.progress(f"imagine {context.iteration}", len(episodes), len(episodes))
        return Synthesis(let.trajectories, {**report, **let.report()})

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> list[Weighted]:
        """Return rows of weight 1 for what the world accepted, then for what the judge did."""
        real = [t for t in trajectories if t.world == "real"]
        imagined = deduplicate(t for t in trajectories if t.world != "real")
        rows = super().curate(real, context)
        return [*rows, *(row for t in imagined for row in context.rows(t, 1.0))]
