"""A world model that grows with a run: trained each iteration, and measured before it is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agentgym_si.errors import BadInput
from agentgym_si.imagining import held_out
from agentgym_si.policies.base import stable_seed
from agentgym_si.synthesis import SynthesisContext
from agentgym_si.worldmodel.base import WorldModel
from agentgym_si.worldmodel.fidelity import Scores, by_depth, open_loop, trusted_depth
from agentgym_si.worldmodel.imagined import real_env
from agentgym_si.worldmodel.language import LanguageWorldModel
from agentgym_si.worldmodel.lived import Lived, lived
from agentgym_si.worldmodel.perfect import NoisyWorldModel
from agentgym_si.worldmodel.structure import STRUCTURES, structure_name
from agentgym_si.worldmodel.teaching import load_world_model, train_world_model, world_rows
from agentgym_si.worldmodel.wording import Wording

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorldSettings:
    """How a world model is trained, measured and sampled from."""

    steps: int = 200
    """Updates an iteration."""
    batch_size: int = 16
    learning_rate: float = 1e-3
    start: str = ""
    """A checkpoint to start from; empty for the policy's own beginning."""
    go_on: bool = True
    """Whether training goes on from the last iteration's world model; else it begins anew."""
    context: Literal["last", "whole"] = "last"
    """See `Wording`, as are the next three."""
    objective: bool = True
    target: Literal["text", "difference"] = "text"
    final_hint: int = 0
    splits: tuple[str, ...] = ("train",)
    """Splits of tasks that it may learn from; another raises BadInput."""
    held_out: float = 0.1
    """Share of the real episodes that it is measured on and never learns from."""
    threshold: float = 0.5
    """Imagination ends at the depth where fidelity falls below; 0 trusts at every depth."""
    metric: str = "f1"
    """Of fidelity: a field of `fidelity.Scores`."""
    deepest: int = 7
    """Deepest imagination that is measured, and so the deepest that is trusted."""
    temperature: float = 0.0
    max_tokens: int = 256
    """Longest prediction, in tokens."""

    def __post_init__(self) -> None:
        """Check the ranges; raises BadInput."""
        if self.steps < 1 or not 0 <= self.held_out < 1 or not 0 <= self.threshold <= 1:
            raise BadInput(
                "expected steps of at least 1, held_out in [0, 1) and threshold in [0, 1], got "
                f"{self.steps}, {self.held_out} and {self.threshold}"
            )
        self.wording()

    def wording(self) -> Wording:
        """Return what the model is asked and says."""
        return Wording(self.context, self.objective, self.target, final_hint=self.final_hint)


@dataclass(frozen=True)
class Evolved:
    """A world model, and how far it can be trusted."""

    model: WorldModel
    horizon: int | None
    """Imagined steps that are true enough; 0 for none, None for any number."""
    report: Mapping[str, Any]


def evolve(context: SynthesisContext, settings: WorldSettings, *, noise: float = 0.0) -> Evolved:
    """Train the iteration's world model on all real steps so far; measure and return it.

    A world model that is whole in the context's folder, of a call that was killed, is taken as it
    is. With `noise` its predictions are in so many cases those of another state: a control.
    """
    learned, tested = held_out(context.real, settings.held_out)
    steps = lived(learned, splits=frozenset(settings.splits))
    folder = context.folder / f"world-{context.iteration}"
    report = _train(context, settings, steps, folder)
    model = load_world_model(
        folder, max_new_tokens=settings.max_tokens, temperature=settings.temperature
    )
    tests = lived(tested, splits=frozenset(settings.splits))
    horizon, fidelity = measure(model, tests, settings)
    report |= {"fidelity": fidelity, "horizon": horizon, "world_version": model.version}
    if not noise:
        return Evolved(model, horizon, report)
    others = [(step.history, step.action) for step in steps]
    noisy = NoisyWorldModel(model, noise, others, seed=context.seed, structure=model.structure)
    return Evolved(noisy, horizon, report | {"noise": noise})


def measure(
    model: LanguageWorldModel, steps: Sequence[Lived], settings: WorldSettings
) -> tuple[int | None, dict[str, Any]]:
    """Return the depth to which the model can be trusted, and its fidelity by depth.

    Imagination goes on from its own words, beside what really happened. Without a threshold it is
    trusted at any depth; with one, and nothing to measure on, at none.
    """
    depths: dict[int, Scores] = {}
    if steps:
        judged = open_loop(model, steps, model.structure, most=settings.deepest)
        depths = by_depth(judged)
    trusted = trusted_depth(depths, settings.threshold, settings.metric) if depths else 0
    report = {str(depth): asdict(scores) for depth, scores in depths.items()}
    return (trusted if settings.threshold else None), report


def _train(
    context: SynthesisContext, settings: WorldSettings, steps: Sequence[Lived], folder: Path
) -> dict[str, Any]:
    counts = {"world_steps": len(steps)}
    if (folder / "world_model.json").exists():
        return counts
    from agentgym_si.policies.tokens import ChatTokens
    from agentgym_si.training.sft import SFTSettings

    before = context.folder / f"world-{context.iteration - 1}"
    start = Path(settings.start) if settings.start else context.start
    start = before if settings.go_on and before.exists() else start
    structure = structure_name(real_env(context.env()))
    wording = settings.wording()
    rows = world_rows(steps, ChatTokens.load(start), STRUCTURES[structure](), wording)
    context.progress(f"train world {context.iteration}", 0, 1)
    training = SFTSettings(
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=stable_seed(context.seed, "world") % 2**31,
    )
    told = train_world_model(start, rows, folder, training, structure=structure, wording=wording)
    logger.info("trained world model %d: %s", context.iteration, asdict(told))
    context.progress(f"train world {context.iteration}", 1, 1)
    return counts
