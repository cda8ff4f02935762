"""GRPO against rejection sampling (RFT) from the same warm-started policy, at equal episodes.

Both arms start from the same checkpoint, play the same number of training episodes at the same
temperature, and are evaluated on the same held-out episodes as they go: sampled at that temperature
(what GRPO makes better), and greedily. RFT is the shipped method run by `improve`, GRPO is
`train_grpo`. For each arm and seed: success by environment steps. What is not equal: RFT, as
shipped, goes on imitating the warm start's oracle episodes too, makes more updates, and at a larger
learning rate; GRPO reads nothing but its own returns.

The last line is one JSON object: env tasks seeds grpo_start grpo_end rft_end (mean over seeds)
grpo_gain rft_gain (mean, low, high: end less start, Student's 95 % interval over seeds)
grpo_minus_rft (the same), each of these again as greedy_*, grpo_steps rft_steps (environment steps
played to train, mean over seeds) curves (a seed's points: steps, success sampled, success greedy).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from agentgym_si.evaluate import score, t_interval
from agentgym_si.improving import improve
from agentgym_si.policies.base import stable_seed
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.rollouts import Episode, play
from agentgym_si.store import read_trajectories
from agentgym_si.training.grpo import GRPOSettings, train_grpo
from agentgym_si.types import Trajectory

EVALUATION = 500_000_000
"""First seed of the episodes that `improve` evaluates on."""
ROUNDS = 4
"""Iterations of RFT, and evaluations of GRPO on the way."""

Point = tuple[int, float, float]
"""Environment steps so far, success sampled, success greedy."""

SETTINGS: dict[str, dict[str, Any]] = {
    "long-horizon": {
        "env": "agentgym_si/LongHorizon-v0",
        "env_options": {"keys": 1},
        "tasks": ["sum-k1-t1"],
        "max_tokens": 8,
        "tiny": {"vocabulary": 300, "hidden": 64, "layers": 2, "heads": 4},
        "warm": {"seeds": 300, "steps": 50},
        "train": {"steps": 30, "learning_rate": 3e-3},
        "in_flight": 64,
    },
    "miniwob": {
        "env": "agentgym_si/MiniWoB-v0",
        "env_options": {"max_steps": 2},
        "tasks": ["identify-shape"],
        "max_tokens": 16,
        "tiny": {"vocabulary": 512, "hidden": 64, "layers": 2, "heads": 4},
        "warm": {"seeds": 8, "steps": 40},
        "train": {"steps": 60, "learning_rate": 1e-3},
        "in_flight": 16,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="long-horizon")
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--updates", type=int, default=20, help=f"of GRPO; a multiple of {ROUNDS}")
    parser.add_argument("--batch", type=int, default=64, help="episodes an update of GRPO")
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--scale", choices=("group", "batch", "none"), default="group")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="of GRPO")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--held-out", type=int, default=100, help="episodes evaluated a task")
    parser.add_argument("--quick", action="store_true", help="two seeds, 16 updates of 32 episodes")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.updates, arguments.batch = 2, 16, 32
        arguments.held_out = 60
    if arguments.seeds < 2:
        parser.error(f"expected at least 2 seeds, for an interval, got {arguments.seeds}")
    first = arguments.first
    runs = [compare(arguments, seed) for seed in range(first, first + arguments.seeds)]
    report = summarise(arguments, runs)
    for name, value in report.items():
        if name != "curves":
            print(f"{name:18} {value}")
    print(json.dumps(report))


def compare(arguments: argparse.Namespace, seed: int) -> dict[str, list[Point]]:
    """Run both arms; return their curves."""
    began = time.perf_counter()
    setting = SETTINGS[arguments.setting]
    episodes = arguments.updates * arguments.batch
    per_round = math.ceil(episodes / ROUNDS / len(setting["tasks"]))
    config = setting | {
        "seed": seed,
        "policy": "tiny",
        "method": "rft",
        "iterations": ROUNDS,
        "collect": {"seeds": per_round, "temperature": arguments.temperature},
        "evaluate": {"seeds": 1, "final_seeds": 0, "alpha": 1.0},  # evaluated here
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        envs = [
            stack.enter_context(
                gym.make(setting["env"], disable_env_checker=True, **setting["env_options"])
            )
            for _ in range(setting["in_flight"])
        ]
        arm = Arm(arguments, setting, envs, seed)
        run = Path(folder) / "rft"
        improve(config, folder=run)
        rft = arm.rft(run)
        grpo = arm.grpo(run / "checkpoints/0", Path(folder) / "grpo")
    for name, curve in (("RFT", rft), ("GRPO", grpo)):
        shown = "  ".join(
            f"{steps}: {sampled:.2f}/{greedy:.2f}" for steps, sampled, greedy in curve
        )
        print(f"seed {seed}  {name:5} {shown}", flush=True)
    print(f"seed {seed}  {time.perf_counter() - began:.0f} s", flush=True)
    return {"rft": rft, "grpo": grpo}


@dataclass(frozen=True)
class Arm:
    """What both arms of a seed share: where they play and how they are evaluated."""

    arguments: argparse.Namespace
    setting: dict[str, Any]
    envs: Sequence[gym.Env[str, str]]
    seed: int

    def rft(self, run: Path) -> list[Point]:
        """Return the curve of a run of `improve`, of which each checkpoint was promoted."""
        points, steps = [], 0
        for iteration in range(ROUNDS + 1):
            steps += steps_of(read_trajectories(run, f"collect/{iteration}/"))
            points.append(self.point(steps, self.load(run / f"checkpoints/{iteration}")))
        return points

    def grpo(self, start: Path, out: Path) -> list[Point]:
        """Train by GRPO; return its curve."""
        points: list[Point] = []
        steps = 0
        tasks, updates = self.setting["tasks"], self.arguments.updates
        groups = updates * self.arguments.batch // self.arguments.group
        first = 10_000 + self.seed * 1_000_000
        drawn = [
            (tasks[index % len(tasks)], first + index // len(tasks)) for index in range(groups)
        ]

        def note(update: int, policy: TransformersPolicy, played: Sequence[Trajectory]) -> None:
            nonlocal steps
            if update % (updates // ROUNDS) == 0:
                policy.model.eval()
                points.append(self.point(steps, policy))
                policy.model.train()
            steps += steps_of(played)

        settings = GRPOSettings(
            steps=updates,
            batch_size=self.arguments.batch,
            group=self.arguments.group,
            scale=self.arguments.scale,
            learning_rate=self.arguments.learning_rate,
            temperature=self.arguments.temperature,
            max_tokens=self.setting["max_tokens"],
            warmup=2,
            seed=self.seed,
        )
        train_grpo(start, self.envs, drawn, out, settings, note)
        points.append(self.point(steps, self.load(out)))
        return points

    def load(self, checkpoint: Path) -> TransformersPolicy:
        return TransformersPolicy(checkpoint, max_new_tokens=self.setting["max_tokens"])

    def point(self, steps: int, policy: TransformersPolicy) -> Point:
        """Return success on held-out episodes, sampled and greedy, after so many steps."""
        first = EVALUATION + self.seed * 1_000_000
        episodes = [
            Episode(f"{task}/{number}", number, task, 0, stable_seed(self.seed, task, number))
            for number in range(first, first + self.arguments.held_out)
            for task in self.setting["tasks"]
        ]
        sampled, greedy = (
            score(play(self.envs, policy.with_sampling(temperature=heat), episodes)).success
            for heat in (self.arguments.temperature, 0.0)
        )
        return steps, sampled, greedy


def steps_of(trajectories: Any) -> int:
    return sum(len(trajectory.transitions) for trajectory in trajectories)


def summarise(
    arguments: argparse.Namespace, runs: Sequence[dict[str, list[Point]]]
) -> dict[str, Any]:
    def mean(arm: str, place: int, value: int) -> float:
        return round(sum(run[arm][place][value] for run in runs) / len(runs), 4)

    def interval(differences: Sequence[float]) -> list[float]:
        return [round(value, 4) for value in t_interval(differences)]

    setting = SETTINGS[arguments.setting]
    report = {"env": setting["env"], "tasks": setting["tasks"], "seeds": len(runs)}
    for value, name in ((1, ""), (2, "greedy_")):
        for arm in ("grpo", "rft"):
            gains = [run[arm][-1][value] - run[arm][0][value] for run in runs]
            report |= {
                f"{name}{arm}_end": mean(arm, -1, value),
                f"{name}{arm}_gain": interval(gains),
            }
        ahead = [run["grpo"][-1][value] - run["rft"][-1][value] for run in runs]
        report |= {
            f"{name}grpo_start": mean("grpo", 0, value),
            f"{name}grpo_minus_rft": interval(ahead),
        }
    return {
        **report,
        "grpo_steps": mean("grpo", -1, 0),
        "rft_steps": mean("rft", -1, 0),
        "curves": runs,
    }


if __name__ == "__main__":
    main()
