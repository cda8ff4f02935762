"""One GRPO run at 100 million random weights or more: memory, speed, and whether the return rises.

The model is first trained on the oracle's episodes, as `benchmarks/gpu/sft.py` does, then plays and
learns. `--device cpu` with a small shape is for trying the script out.

The last line is one JSON object: parameters device updates episodes_per_second tokens_per_second
(sampled) peak_memory_gib warm_first_loss warm_last_loss returns (mean of each update).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from sft import ENV, memory_gib, parse, warm_start

from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.training.grpo import GRPOSettings, train_grpo
from agentgym_si.training.rows import to_rows
from agentgym_si.training.sft import SFTSettings, train_sft
from agentgym_si.types import Trajectory

TASK, KEYS = "sum-k1-t1", 1
"""Copying a number: learned in part by a short warm start, so that there is something to gain."""


def main() -> None:
    arguments = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        figures = run(arguments, Path(folder))
    print(json.dumps(figures))


def run(arguments: Any, folder: Path) -> dict[str, Any]:
    start, played = warm_start(arguments, folder, TASK, KEYS)
    policy = TransformersPolicy(start, device="cpu")
    rows = [row for trajectory in played for row in to_rows(trajectory, policy.tokens)]
    parameters = sum(p.numel() for p in policy.model.parameters())
    warm = train_sft(
        start,
        rows,
        folder / "warm",
        SFTSettings(
            steps=arguments.warm,
            batch_size=arguments.batch,
            learning_rate=3e-4,
            device=arguments.device,
        ),
    )
    returns: list[float] = []

    def note(update: int, policy: TransformersPolicy, played: Sequence[Trajectory]) -> None:
        returns.append(sum(trajectory.episode_return for trajectory in played) / len(played))

    settings = GRPOSettings(
        steps=arguments.steps,
        batch_size=arguments.batch,
        group=8,
        learning_rate=1e-5,
        max_tokens=8,
        device=arguments.device,
    )
    groups = arguments.steps * arguments.batch // settings.group
    tasks = [(TASK, seed) for seed in range(10_000, 10_000 + groups)]
    envs = [gym.make(ENV, keys=KEYS, disable_env_checker=True) for _ in range(64)]
    report = train_grpo(folder / "warm", envs, tasks, folder / "out", settings, note)
    return {
        "parameters": parameters,
        "device": arguments.device,
        "updates": report.steps,
        "episodes_per_second": round(arguments.batch * report.steps / report.seconds, 2),
        "tokens_per_second": round(report.tokens / report.seconds, 1),
        "peak_memory_gib": memory_gib(arguments.device),
        "warm_first_loss": warm.first_loss,
        "warm_last_loss": warm.last_loss,
        "returns": [round(value, 4) for value in returns],
    }


if __name__ == "__main__":
    main()
