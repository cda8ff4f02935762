"""TT-SI, test-time self-improvement: adapt to what one is unsure of, answer, forget.

"Self-Improving LLM Agents at Test-Time" (arXiv 2510.07841). `ttsi:POLICY` plays it; what it takes:
gate by the margin of relative softmax scores (tau 0.95), one neighbour by the model itself, a
throw-away LoRA of rank 8 trained on it for 5 epochs, everything put back after the instance. TT-ICL
is `mode=context`; TT-D gives a `teacher`. Not in the paper: practice in the environment, whose
reward says what is learned from, and the web and code presets. The prompts are ours, and so is the
learning rate of models of less than a million weights.

`TTSIPooled` is another method: it learns from the neighbours of all instances for good. Figures of
test-time adaptation do not hold for it, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import gymnasium as gym

from agentgym_si.adapt.candidates import FromEnvironment, Samples, ToolNames
from agentgym_si.adapt.checks import check_calls, check_page_action, check_program
from agentgym_si.adapt.neighbours import Augment, SelfMade, after_functions
from agentgym_si.adapt.practising import Practice
from agentgym_si.adapt.settings import PAPER, TINY, Adaptation, Budget, Mode
from agentgym_si.adapt.signals import Consensus, Entropy, Gate, Margin, PTrue, Signal
from agentgym_si.adapt.test_time import TestTimePolicy
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.loop import Context
from agentgym_si.policies.base import History, Policy
from agentgym_si.synthesis import Synthesis, SynthesisContext
from agentgym_si.types import Trajectory, Weighted

Preset = Literal["tools", "web", "code"]

TOOLS = ToolNames()
PRESETS: Mapping[str, tuple[Any, Any]] = {
    "tools": (TOOLS, SelfMade(split=after_functions, check=check_calls)),
    "web": (FromEnvironment(), SelfMade(check=check_page_action)),
    "code": (Samples(), SelfMade(check=check_program)),
}
"""Candidates and neighbours by what the actions are."""

SMALL = 1_000_000
"""Weights below which a model takes the larger learning rate."""


@dataclass(frozen=True)
class TTSI:
    """The settings of `ttsi:POLICY`, as `ttsi,tau=0.9,k=4:POLICY` writes them."""

    preset: Preset = "tools"
    signal: Literal["margin", "mean-margin", "entropy", "consensus", "p-true"] = "margin"
    tau: float = 0.95
    """Instances of a certainty below it are adapted to; above 1 all are."""
    k: int = 1
    """Neighbours that are learned from."""
    tries: int | None = None
    """Drawn for each of them, 1 where None; with `practice` the episodes played, 12."""
    practice: str = ""
    """An environment's id: neighbours are practice episodes of the instance's task in it."""
    mode: Mode = "lora"
    learning_rate: float | None = None
    """None for 1e-4, and 2e-3 for models of less than a million weights."""
    epochs: int = 5
    seconds: float | None = None
    """What an instance may take; None for no limit."""
    stack: int = 32
    """Instances adapted to in one pass."""
    compare: bool = False
    """Record the answer without adaptation too."""

    def __post_init__(self) -> None:
        """Check the names; raises UnknownName and BadInput."""
        if self.preset not in PRESETS:
            raise UnknownName("preset", str(self.preset), PRESETS)
        self.gate()

    def wrap(self, policy: Policy, *, teacher: Policy | None = None) -> TestTimePolicy:
        """Return the policy that adapts; a teacher makes the neighbours in its place (TT-D)."""
        adapt = self.adaptation(policy)
        return TestTimePolicy(
            policy, self.gate(), self.augment(teacher), adapt, compare=self.compare
        )

    def gate(self) -> Gate:
        """Return the gate."""
        candidates = PRESETS[self.preset][0]
        signals: Mapping[str, Signal] = {
            "margin": Margin(candidates),
            "mean-margin": Margin(candidates, "mean"),
            "entropy": Entropy(candidates),
            "consensus": Consensus(),
            "p-true": PTrue(),
        }
        if self.signal not in signals:
            raise UnknownName("signal", str(self.signal), signals)
        return Gate(signals[self.signal], self.tau)

    def augment(self, teacher: Policy | None = None) -> Augment:
        """Return what makes the neighbours."""
        if self.practice and teacher is not None:
            raise BadInput("expected practice or a teacher, got both")
        if self.practice:
            make = _Opening(self.practice)
            return Practice(make, k=self.k, tries=12 if self.tries is None else self.tries)
        made: SelfMade = PRESETS[self.preset][1]
        return replace(made, k=self.k, tries=self.tries or 1, teacher=teacher)

    def adaptation(self, policy: Policy) -> Adaptation:
        """Return what is done with them."""
        settings = TINY if _weights(policy) < SMALL else PAPER
        rate = self.learning_rate or settings.learning_rate
        lora = replace(settings, learning_rate=rate, epochs=self.epochs)
        return Adaptation(self.mode, lora, self.stack, Budget(seconds=self.seconds))


def ttsi(policy: Policy, **settings: Any) -> TestTimePolicy:
    """Return the policy of `ttsi,key=value,…:POLICY`; raises BadInput and UnknownName."""
    known = [field.name for field in fields(TTSI)]
    for name in settings:
        if name not in known:
            raise UnknownName("setting", name, known, where="ttsi")
    return TTSI(**settings).wrap(policy)


@dataclass(frozen=True)
class TTSIPooled:
    """Learn for good from the neighbours of what the policy was unsure of: another method.

    The gate and the neighbours are TT-SI's; nothing is put back. The episodes themselves, and their
    rewards, are not learned from.
    """

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


@dataclass(frozen=True)
class _Opening:
    """Opens an environment by its id."""

    env: str

    def __call__(self) -> gym.Env[str, str]:
        made: gym.Env[str, str] = gym.make(self.env, disable_env_checker=True)
        return made


def _weights(policy: Policy) -> float:
    model: Any = getattr(policy, "model", None)
    return float("inf") if model is None else float(sum(p.numel() for p in model.parameters()))
