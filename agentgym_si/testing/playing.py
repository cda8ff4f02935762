"""How `check_env` plays: every reset and step is checked on the way, and written down."""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from agentgym_si.envs.base import TextEnv

Make = Callable[[], gym.Env[str, str]]
Result = tuple[str, float, bool, bool, dict[str, Any]]


@dataclass(frozen=True)
class Played:
    """What was played and what came of it; the first result is the reset's."""

    task: str
    seed: int
    actions: tuple[str, ...]
    results: tuple[Result, ...]


def require(condition: bool, rule: str, message: str) -> None:
    """Raise AssertionError with the rule's name where `condition` does not hold."""
    if not condition:
        raise AssertionError(f"{rule}: {message}")


def open_env(make: Make) -> TextEnv:
    """Return a fresh environment without wrappers."""
    env = make().unwrapped
    if not isinstance(env, TextEnv):
        raise AssertionError(f"text environment: expected a TextEnv, got {type(env).__name__}")
    return env


def choose_tasks(env: TextEnv, tasks: Sequence[str] | None) -> list[str]:
    """Return `tasks`, or the first, the middle and the last one the environment has."""
    if tasks is not None:
        return list(tasks)
    last = len(env.task_ids) - 1
    return [env.task_ids[index] for index in sorted({0, last // 2, last})]


def record_all(env: TextEnv, tasks: Sequence[str], seed: int, steps: int) -> list[Played]:
    """Play each task twice: with all kinds of actions, and with the oracle's where it has one."""
    return [
        _record(env, task, seed + 2 * number + solve, steps, solve=bool(solve))
        for number, task in enumerate(tasks)
        for solve in (0, 1)
    ]


def _record(env: TextEnv, task: str, seed: int, steps: int, *, solve: bool) -> Played:
    env.action_space.seed(seed)
    actions: list[str] = []
    results = [play_reset(env, task, seed)]
    while len(actions) < steps and not (results[-1][2] or results[-1][3]):
        actions.append(_next_action(env, task, len(actions), solve))
        results.append(play_step(env, actions[-1]))
    for result in results:
        check_result(env, result, task)
    return Played(task, seed, tuple(actions), tuple(results))


def _next_action(env: TextEnv, task: str, step: int, solve: bool) -> str:
    candidates = list(env.candidates())
    for action in candidates:
        require(isinstance(action, str), "candidates", f"expected strings, got {action!r}")
    if solve and env.has_oracle(task):
        try:
            return env.oracle()
        except NotImplementedError as error:
            raise AssertionError(f"oracle: of task {task!r} gives up at step {step}") from error
    kinds = [env.noop, env.action_space.sample(), *candidates]
    return kinds[step % len(kinds)]


def play_reset(env: TextEnv, task: str | None, seed: int | None) -> Result:
    """Reset, and return it in the form of a step's result."""
    options = None if task is None else {"task": task}
    observation, info = env.reset(seed=seed, options=options)
    _check_box(info)
    return observation, 0.0, False, False, copy.deepcopy(info)


def play_step(env: TextEnv, action: str) -> Result:
    """Step; whatever the action says, an exception breaks the contract."""
    try:
        result = env.step(action)
    except Exception as error:  # the rule: whatever the agent says is answered by an observation
        raise AssertionError(
            f"agent's mistakes: step({action[:40]!r}) raised {type(error).__name__}: {error}"
        ) from error
    _check_box(result[4])
    observation, reward, terminated, truncated, info = result
    return observation, float(reward), terminated, truncated, copy.deepcopy(info)


def _check_box(info: dict[str, Any]) -> None:
    require("failure" not in info, "box", f"the box failed: {info.get('failure')}")


def check_result(env: TextEnv, result: Result, task: str) -> None:
    """Check what came back from one reset or step."""
    observation, reward, terminated, truncated, info = result
    require(observation in env.observation_space, "spaces", "an observation is outside its space")
    require(math.isfinite(reward), "reward", f"expected a finite number, got {reward}")
    flags = isinstance(terminated, bool) and isinstance(truncated, bool)
    require(flags, "terminated and truncated", f"expected bools, got {terminated}, {truncated}")
    require(not (terminated and truncated), "terminated and truncated", "both are set in one step")
    require(info.get("task") == task, "info", f"expected task {task!r}, got {info.get('task')!r}")
    try:
        json.dumps(info, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"info: expected JSON, got {info!r}") from error


def generator_states() -> dict[str, bytes]:
    """Return the states of the global generators: random, numpy, and torch where it is loaded."""
    states: dict[str, Any] = {"random": random.getstate(), "numpy.random": np.random.get_state()}
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return {name: pickle.dumps(state) for name, state in states.items()}
