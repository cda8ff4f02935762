"""GRPO against rejection sampling (RFT) from the same warm-started policy, at equal episodes.

Both arms start from the same checkpoint, play the same number of training episodes at the same
temperature, and are evaluated greedily on the same held-out episodes as they go. RFT is the shipped
method run by `improve`, GRPO is `train_grpo`. For each arm and seed: success by environment steps.
What is not equal: RFT, as shipped, goes on imitating the warm start's oracle episodes too, makes
more updates, and at a larger learning rate; GRPO reads nothing but its own returns.

The last line is one JSON object: env tasks seeds grpo_start grpo_end rft_end (mean over seeds)
grpo_gain (mean, low, high: end less start, Student's 95 % interval over seeds) grpo_minus_rft (the
same) grpo_steps rft_steps (environment steps played to train, mean over seeds) curves.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium as gym

from agentgym_si.evaluate import score, t_interval
from agentgym_si.improving import improve
from agentgym_si.policies.base import stable_seed
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.rollouts import Episode, play
from agentgym_si.store import Run, read_trajectories
from agentgym_si.training.grpo import GRPOSettings, train_grpo
from agentgym_si.types import Trajectory

EVALUATION = 500_000_000
"""First seed of the episodes that `improve` evaluates on."""
ROUNDS = 4
"""Iterations of RFT, and evaluations of GRPO on the way."""

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
        "env_options": {},
        "tasks": ["identify-shape"],
        "max_tokens": 16,
        "tiny": {"vocabulary": 512, "hidden": 64, "layers": 2, "heads": 4},
        "warm": {"seeds": 12, "steps": 20},
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


def compare(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Run both arms; return their curves, (environment steps, success) each."""
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
        "evaluate": {"seeds": arguments.held_out, "final_seeds": 0, "alpha": 1.0},
    }
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "rft"
        report = improve(config, folder=run)
        played = [steps_of(read_trajectories(run, f"collect/{i}/")) for i in range(1, ROUNDS + 1)]
        rft = [(0, report["iterations"][0]["success"])] + [
            (sum(played[:index]), report["iterations"][index]["success"])
            for index in range(1, ROUNDS + 1)
        ]
        with Run(run, json.loads((run / "run.json").read_text())["config"]) as opened:
            start = run / (opened.phase("start") or {})["checkpoint"]
        grpo = play_grpo(arguments, setting, start, Path(folder) / "grpo", seed)
    for name, curve in (("RFT", rft), ("GRPO", grpo)):
        shown = "  ".join(f"{steps}: {success:.2f}" for steps, success in curve)
        print(f"seed {seed}  {name:5} {shown}", flush=True)
    print(f"seed {seed}  {time.perf_counter() - began:.0f} s", flush=True)
    return {"rft": rft, "grpo": grpo}


def play_grpo(
    arguments: argparse.Namespace, setting: dict[str, Any], start: Path, out: Path, seed: int
) -> list[tuple[int, float]]:
    """Train by GRPO; return its curve."""
    curve: list[tuple[int, float]] = []
    steps = 0
    tasks = setting["tasks"]
    groups = arguments.updates * arguments.batch // arguments.group
    first = 10_000 + seed * 1_000_000
    drawn = [(tasks[index % len(tasks)], first + index // len(tasks)) for index in range(groups)]
    with ExitStack() as stack:
        envs = [
            stack.enter_context(
                gym.make(setting["env"], disable_env_checker=True, **setting["env_options"])
            )
            for _ in range(setting["in_flight"])
        ]

        def note(update: int, policy: TransformersPolicy, played: Sequence[Trajectory]) -> None:
            nonlocal steps
            if update % (arguments.updates // ROUNDS) == 0:
                policy.model.eval()
                curve.append((steps, evaluate(envs, policy, tasks, seed, arguments.held_out)))
                policy.model.train()
            steps += steps_of(played)

        settings = GRPOSettings(
            steps=arguments.updates,
            batch_size=arguments.batch,
            group=arguments.group,
            learning_rate=arguments.learning_rate,
            temperature=arguments.temperature,
            max_tokens=setting["max_tokens"],
            warmup=2,
            seed=seed,
        )
        train_grpo(start, envs, drawn, out, settings, note)
        policy = TransformersPolicy(out, max_new_tokens=setting["max_tokens"])
        curve.append((steps, evaluate(envs, policy, tasks, seed, arguments.held_out)))
    return curve


def evaluate(
    envs: Sequence[gym.Env[str, str]],
    policy: TransformersPolicy,
    tasks: Sequence[str],
    seed: int,
    held_out: int,
) -> float:
    """Return greedy success on the episodes that `improve` evaluates on."""
    first = EVALUATION + seed * 1_000_000
    episodes = [
        Episode(f"{task}/{number}", number, task, 0, stable_seed(seed, task, number))
        for number in range(first, first + held_out)
        for task in tasks
    ]
    return score(play(envs, policy.with_sampling(temperature=0.0), episodes)).success


def steps_of(trajectories: Any) -> int:
    return sum(len(trajectory.transitions) for trajectory in trajectories)


def summarise(
    arguments: argparse.Namespace, runs: Sequence[dict[str, list[tuple[int, float]]]]
) -> dict[str, Any]:
    def mean(arm: str, place: int, value: int) -> float:
        return round(sum(run[arm][place][value] for run in runs) / len(runs), 4)

    gains = [run["grpo"][-1][1] - run["grpo"][0][1] for run in runs]
    ahead = [run["grpo"][-1][1] - run["rft"][-1][1] for run in runs]
    setting = SETTINGS[arguments.setting]
    return {
        "env": setting["env"],
        "tasks": setting["tasks"],
        "seeds": len(runs),
        "grpo_start": mean("grpo", 0, 1),
        "grpo_end": mean("grpo", -1, 1),
        "rft_end": mean("rft", -1, 1),
        "grpo_gain": [round(value, 4) for value in t_interval(gains)],
        "grpo_minus_rft": [round(value, 4) for value in t_interval(ahead)],
        "grpo_steps": mean("grpo", -1, 0),
        "rft_steps": mean("rft", -1, 0),
        "curves": runs,
    }


if __name__ == "__main__":
    main()
