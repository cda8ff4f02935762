"""TT-SI, test-time self-improvement: adapt to what one is unsure of, answer, forget.

"Self-Improving LLM Agents at Test-Time" (arXiv 2510.07841). `ttsi:POLICY` plays it; what it takes:
gate by the margin of relative softmax scores (tau 0.95), one neighbour by the model itself, a
throw-away LoRA of rank 8 trained on it for 5 epochs, everything put back after the instance. TT-ICL
is `mode=context`; TT-D gives a `teacher`. Not in the paper: practice in the environment, whose
reward says what is learned from, and the web and code presets. The prompts are ours, and so is the
learning rate of models of less than a million weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
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
from agentgym_si.policies.base import Policy

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
class _Opening:
    """Opens an environment by its id."""

    env: str

    def __call__(self) -> gym.Env[str, str]:
        made: gym.Env[str, str] = gym.make(self.env, disable_env_checker=True)
        return made


def _weights(policy: Policy) -> float:
    model: Any = getattr(policy, "model", None)
    return float("inf") if model is None else float(sum(p.numel() for p in model.parameters()))
