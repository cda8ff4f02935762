"""One SFT run at 100 million random weights or more: memory, speed, and whether the loss falls.

The model has the shape that is asked for and random weights; its rows are counting episodes of
LongHorizon-v0, played by the oracle. On a GPU in bfloat16; `--device cpu` with a small shape is for
trying the script out.

The last line is one JSON object: parameters device steps tokens_per_second (loading
included) peak_memory_gib first_loss last_loss loss_falls.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from agentgym_si.policies.base import OraclePolicy
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.rollouts import rollout
from agentgym_si.training.rows import to_rows
from agentgym_si.training.sft import SFTSettings, train_sft
from agentgym_si.types import Trajectory

ENV = "agentgym_si/LongHorizon-v0"


def main() -> None:
    arguments = parse(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        figures = run(arguments, Path(folder))
    print(json.dumps(figures))


def parse(description: str | None) -> argparse.Namespace:
    """Return the arguments that the scripts of this folder share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--warm", type=int, default=50, help="updates of SFT before GRPO")
    return parser.parse_args()


def warm_start(
    arguments: argparse.Namespace, folder: Path, task: str, keys: int
) -> tuple[Path, list[Trajectory]]:
    """Return a checkpoint of the asked-for shape, and the oracle's episodes."""
    env = gym.make(ENV, task=task, keys=keys, disable_env_checker=True)
    played = rollout(env, OraclePolicy(), episodes=400)
    env.close()
    texts = [message["content"] for trajectory in played for message in trajectory.messages()]
    start = build_tiny(
        folder / "start",
        texts,
        vocabulary=1024,
        hidden=arguments.hidden,
        layers=arguments.layers,
        heads=max(arguments.hidden // 64, 1),
        instructions=False,
    )
    return start, played


def memory_gib(device: str) -> float | None:
    return torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else None


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    start, played = warm_start(arguments, folder, "sum-k1-t10", 10)
    policy = TransformersPolicy(start, device="cpu")
    rows = [row for trajectory in played for row in to_rows(trajectory, policy.tokens)]
    parameters = sum(p.numel() for p in policy.model.parameters())
    settings = SFTSettings(
        steps=arguments.steps,
        batch_size=arguments.batch,
        learning_rate=3e-4,
        device=arguments.device,
    )
    report = train_sft(start, rows, folder / "out", settings)
    read = sum(len(row.context) + len(row.completion) for row in rows) / len(rows)
    return {
        "parameters": parameters,
        "device": arguments.device,
        "steps": report.steps,
        "tokens_per_second": round(read * arguments.batch * report.steps / report.seconds, 1),
        "peak_memory_gib": memory_gib(arguments.device),
        "first_loss": report.first_loss,
        "last_loss": report.last_loss,
        "loss_falls": report.last_loss < 0.5 * report.first_loss,
    }


if __name__ == "__main__":
    main()
