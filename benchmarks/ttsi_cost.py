"""What an adapted instance costs: milliseconds of CPU time and tokens, one by one and in a batch.

The instances are E1's (`ttsi.py`), the policy an untrained one of the same size, every neighbour
its own text, so that no instance is spared its training. Stages: gate (twelve tool names scored),
neighbours (written and answered), training (5 updates of a throw-away adapter), answer. The floor
is nothing but forward and backward passes of the same batches through the bare model.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adapt import floor
from ttsi_arms import SIMILAR, Recipe

from agentgym_si.adapt.neighbours import Neighbour, SelfMade
from agentgym_si.adapt.settings import TINY, tokens_in
from agentgym_si.adapt.signals import Margin
from agentgym_si.policies.base import History
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.stacked import stacked
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.rows import to_rows
from agentgym_si.types import Weighted


def cost_table(instances: int = 32, rounds: int = 2) -> dict[str, Any]:
    """Measure; print the table and return its figures, in CPU milliseconds an instance."""
    with tempfile.TemporaryDirectory() as folder:
        policy, histories = _policy(Path(folder), instances)
        rows = _rows(policy, histories)
        found: dict[str, dict[str, float]] = {}
        for size in (1, instances):
            stages = _stages(policy, histories, rows, size)
            found[str(size)] = {
                name: min(_milliseconds(stage) for _ in range(rounds)) / instances
                for name, stage in stages.items()
            }
    tokens = tokens_in([row for own in rows for row in own]) / instances
    print("| instances at once | " + " | ".join(found["1"]) + " | training / floor |")
    print("|---" * (len(found["1"]) + 2) + "|")
    for size, own in found.items():
        ratio = own["training"] / own["floor"]
        figures = " | ".join(f"{value:.1f}" for value in own.values())
        print(f"| {size} | {figures} | {ratio:.2f} |")
    return {
        "cost_ms": {s: {n: round(v, 2) for n, v in own.items()} for s, own in found.items()},
        "tokens_trained_an_instance": tokens * TINY.epochs,
        "weights": sum(p.numel() for p in policy.model.parameters()),
    }


def _policy(folder: Path, instances: int) -> tuple[TransformersPolicy, list[History]]:
    world, rng = Recipe().world(0), np.random.default_rng(0)
    start = build_tiny(
        folder / "model",
        world.texts(rng),
        hidden=Recipe().hidden,
        layers=Recipe().layers,
        heads=2,
        vocabulary=400 + Recipe().words + Recipe().values,
        context=256,
        instructions=False,
    )
    policy = TransformersPolicy(start, temperature=0.0, max_new_tokens=24, device="cpu")
    items = world.draw(rng, instances)
    return policy, [History((i.query,), tools=world.functions, seed=n) for n, i in enumerate(items)]


def _rows(policy: TransformersPolicy, histories: Sequence[History]) -> list[list[Weighted]]:
    made = _augment().neighbours(policy, histories)
    return [[row for one in own for row in to_rows(one.trajectory, policy.tokens)] for own in made]


def _augment() -> SelfMade:
    return SelfMade(prompt=SIMILAR, check=lambda history, answer: "")


def _stages(
    policy: TransformersPolicy,
    histories: Sequence[History],
    rows: Sequence[Sequence[Weighted]],
    size: int,
) -> dict[str, Callable[[], Any]]:
    """Return what each stage does for all instances, `size` at once."""
    groups = [slice(start, start + size) for start in range(0, len(histories), size)]

    def each(work: Callable[[slice], Any]) -> Callable[[], Any]:
        return lambda: [work(group) for group in groups]

    def made(group: slice) -> list[list[Neighbour]]:
        return _augment().neighbours(policy, histories[group])

    def train(group: slice) -> None:
        with stacked(policy, len(rows[group]), TINY) as stack:
            stack.fit(rows[group])

    def answer(group: slice) -> None:
        with stacked(policy, len(rows[group]), TINY) as stack:
            stack.act(histories[group], range(len(rows[group])))

    return {
        "gate": each(lambda group: Margin().certainty(policy, histories[group])),
        "neighbours": each(made),
        "training": each(train),
        "answer": each(answer),
        "answer without": each(lambda group: policy.act(histories[group])),
        "floor": each(
            lambda group: floor(policy, [r for own in rows[group] for r in own], 0, TINY.epochs)
        ),
    }


def _milliseconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)
