"""`check_env`: the contract of an environment, as one function that raises where it is broken."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as check_gymnasium_env

from agentgym_si.envs.base import MAX_ACTION_CHARACTERS, TextEnv
from agentgym_si.errors import AgentGymError, RestoreMismatch, UnknownName
from agentgym_si.testing.playing import (
    Make,
    Played,
    Result,
    choose_tasks,
    generator_states,
    open_env,
    play_reset,
    play_step,
    record_all,
    require,
)
from agentgym_si.types import SOLVED

CLOCK_SECONDS = 1.1
"""Time between recording and replaying, so that a clock which ticks in seconds shows."""

NOISE = (
    "",
    " \n\t",
    "\x00\x01\x7f",
    "\ud800 half a character",
    "🤖" * 100,
    "{" * 1000,
    "click('",
    '{"name": "no_such_tool", "arguments": [',
    "__import__('os').abort()",
    "'; DROP TABLE tasks; --",
    "9" * 5000,
    "x" * MAX_ACTION_CHARACTERS,
    "x" * (MAX_ACTION_CHARACTERS + 1),
)
"""Actions that no environment can carry out; each must become an observation."""


def check_env(
    make: str | Make,
    *,
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    steps: int = 5,
    processes: bool = False,
) -> None:
    """Check an environment against Gymnasium's contract and ours.

    Gymnasium's own `check_env` runs with nothing skipped, its warnings as errors. Gold in an
    observation cannot be told from an observation that may say so; that is the author's to see to.

    Args:
        make: an id for `gym.make`, or a function that returns a fresh environment.
        tasks: ids of the tasks to play; None for the first, the middle and the last one.
        seed: first of the seeds.
        steps: steps played in an episode, at most.
        processes: also play in worker processes (Gymnasium's async vector mode); needs an id, and
            in a script a guard `if __name__ == "__main__"`.

    Raises:
        AssertionError: the contract is broken; the message names the rule.
    """
    make_env: Make = (lambda: gym.make(make)) if isinstance(make, str) else make
    before = generator_states()
    with closing(open_env(make_env)) as first, closing(open_env(make_env)) as second:
        _check_told(first)
        _check_spaces(first)
        played = record_all(first, choose_tasks(first, tasks), seed, steps)
        recorded = time.monotonic()
        _check_generators(before)
        for episode in played:
            _check_repeats(first, episode, "played again")
            _check_repeats(second, episode, "played in another instance")
        _check_unseeded(first, seed)
        for one, other in zip(played, [*played[1:], played[0]], strict=True):
            _check_interleaved(first, second, one, other)
            _check_snapshot(first, second, one)
        _check_limit(first, seed)
        _check_options(first)
        _check_noise(first, seed)
        time.sleep(max(0.0, CLOCK_SECONDS - (time.monotonic() - recorded)))
        _check_repeats(first, played[0], "played a second later")
        _check_spec(first)
        _check_gymnasium(first)
    _check_close(make_env, played[0])
    _check_vector(make, seed, processes)
    _check_generators(before)


def _check_told(env: TextEnv) -> None:
    told = isinstance(env.instructions, str) and bool(env.instructions.strip())
    require(told, "instructions", "expected a text that says what to do, got none")
    require(isinstance(env.noop, str), "no-op", f"expected a string, got {env.noop!r}")
    require(env.noop in env.action_space, "no-op", "expected a member of the action space")
    require(bool(env.task_ids), "tasks", "expected at least one task")
    for tool in env.tools:
        try:
            json.dumps(tool, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"tools: expected JSON schemas, got {tool!r}") from error


def _check_spaces(env: TextEnv) -> None:
    for name, space in (("action", env.action_space), ("observation", env.observation_space)):
        draws = []
        for _ in range(2):
            space.seed(7)
            draws.append([space.sample() for _ in range(20)])
        require(draws[0] == draws[1], "spaces", f"{name}_space.sample() does not follow its seed")
        require("any text:\n🤖 <b>" in space, "spaces", f"{name}_space does not hold any text")
        require(3 not in space, "spaces", f"{name}_space holds the number 3")


def _check_generators(before: dict[str, bytes]) -> None:
    for name, state in generator_states().items():
        same = before.get(name, state) == state
        require(same, "global generators", f"make, reset or step changed the state of {name}")


def _check_repeats(env: TextEnv, episode: Played, circumstance: str) -> None:
    results = [play_reset(env, episode.task, episode.seed)]
    results += [play_step(env, action) for action in episode.actions]
    _check_same(episode, results, "seeds", circumstance)


def _check_unseeded(env: TextEnv, seed: int) -> None:
    runs = [
        [play_reset(env, None, seed), play_reset(env, None, None), play_reset(env, None, None)]
        for _ in range(2)
    ]
    same = runs[0] == runs[1]
    require(same, "seeds", "episodes after a seeded reset differ from run to run")


def _check_interleaved(first: TextEnv, second: TextEnv, one: Played, other: Played) -> None:
    results = [
        [play_reset(first, one.task, one.seed)],
        [play_reset(second, other.task, other.seed)],
    ]
    for step in range(max(len(one.actions), len(other.actions))):
        for env, episode, record in ((first, one, results[0]), (second, other, results[1])):
            if step < len(episode.actions):
                record.append(play_step(env, episode.actions[step]))
    _check_same(one, results[0], "instances", "played beside another instance")
    _check_same(other, results[1], "instances", "played beside another instance")


def _check_snapshot(first: TextEnv, second: TextEnv, episode: Played) -> None:
    """Go back to mid-play, in the instance that was there and in another one."""
    middle = len(episode.actions) // 2
    play_reset(first, episode.task, episode.seed)
    for action in episode.actions[:middle]:
        play_step(first, action)
    state = first.snapshot()
    for env in (first, first, second):  # the first time round the restore follows no other step
        try:
            observation = env.restore(state)
        except RestoreMismatch as error:
            raise AssertionError(f"snapshot: {error}") from error
        same = observation == episode.results[middle][0]
        require(same, "snapshot", "restore did not return the snapshot's observation")
        rest = [play_step(env, action) for action in episode.actions[middle:]]
        _check_same(episode, [*episode.results[: middle + 1], *rest], "snapshot", "restored")


def _check_same(episode: Played, results: Sequence[Result], rule: str, circumstance: str) -> None:
    for step, (expected, got) in enumerate(zip(episode.results, results, strict=True)):
        names = ("observation", "reward", "terminated", "truncated", "info")
        for name, was, now in zip(names, expected, got, strict=True):
            require(
                was == now,
                rule,
                f"task {episode.task!r}, seed {episode.seed}, {circumstance}: {name} of step "
                f"{step} was {str(was)[-200:]!r}, then {str(now)[-200:]!r}",
            )


def _check_limit(env: TextEnv, seed: int) -> None:
    """No-ops lead to no success, end at the limit, and nothing can be done after that."""
    _, _, terminated, truncated, _ = play_reset(env, None, seed)
    earned, steps = 0.0, 0
    while not (terminated or truncated):
        require(steps < env.max_steps, "limit", f"no truncation after {env.max_steps} steps")
        _, reward, terminated, truncated, _ = play_step(env, env.noop)
        earned += reward
        steps += 1
    both = terminated and truncated
    require(not both, "terminated and truncated", "both are set in one step")
    early = truncated and steps < env.max_steps
    require(not early, "limit", f"truncated after {steps} steps, before {env.max_steps}")
    require(earned < SOLVED, "no-op", f"doing nothing earned {earned}")
    try:
        env.step(env.noop)
    except gym.error.ResetNeeded:
        return
    raise AssertionError("limit: a step after the end of the episode did not raise ResetNeeded")


def _check_options(env: TextEnv) -> None:
    for options in ({"tsak": env.task_ids[0]}, {"task": "no such task"}):
        try:
            env.reset(options=options)
        except UnknownName:
            continue
        raise AssertionError(f"reset options: {options} did not raise UnknownName")


def _check_noise(env: TextEnv, seed: int) -> None:
    over = True
    for action in NOISE:
        if over:
            play_reset(env, None, seed)
        observation, reward, terminated, truncated, _ = play_step(env, action)
        got = f"{action[:40]!r} ({len(action)} characters)"
        require(isinstance(observation, str), "agent's mistakes", f"{got} gave {observation!r}")
        require(reward == 0.0, "agent's mistakes", f"{got} earned {reward}")
        over = terminated or truncated


def _check_spec(env: TextEnv) -> None:
    if env.spec is None:
        return
    try:
        again = EnvSpec.from_json(env.spec.to_json())
    except ValueError as error:
        raise AssertionError("spec: it is no JSON; register a string as entry point") from error
    same = (again.id, again.entry_point) == (env.spec.id, env.spec.entry_point)
    require(same, "spec", "it does not survive JSON")


def _check_gymnasium(env: TextEnv) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*WARN: ", category=UserWarning)
        if env.spec is None:  # then the render modes cannot be tried; all else is checked
            warnings.filterwarnings("ignore", message=".*WARN: .*not having a spec")
        try:
            check_gymnasium_env(env)
        except Exception as error:  # the checker's own kinds of complaint are many
            raise AssertionError(f"Gymnasium's check_env: {error}") from error


def _check_close(make: Make, episode: Played) -> None:
    env = open_env(make)
    play_reset(env, episode.task, episode.seed)
    for _ in range(2):
        try:
            env.close()
        except Exception as error:  # whatever it is, closing twice must not raise it
            raise AssertionError(f"close: raised {type(error).__name__}: {error}") from error
    try:
        result = play_reset(env, episode.task, episode.seed)
    except (AgentGymError, gym.error.Error):
        return  # a closed environment may refuse, in words
    require(result == episode.results[0], "close", "a reset after close gave another episode")
    env.close()


def _check_vector(make: str | Make, seed: int, processes: bool) -> None:
    modes: list[tuple[str, dict[str, Any]]] = [("sync", {})]
    if processes and isinstance(make, str):  # spawn: a fork would share threads and sockets
        modes.append(("async", {"context": "spawn", "shared_memory": False}))
    make_env: Make = (lambda: gym.make(make)) if isinstance(make, str) else make
    with closing(open_env(make_env)) as env:
        resets = [play_reset(env, None, seed + number)[0] for number in range(2)]
        steps = []
        for number in range(2):
            play_reset(env, None, seed + number)
            steps.append(play_step(env, env.noop)[0])
        noop = env.noop
    for mode, arguments in modes:
        if isinstance(make, str):
            vector = gym.make_vec(
                make, num_envs=2, vectorization_mode=mode, vector_kwargs=arguments
            )
        else:
            vector = gym.vector.SyncVectorEnv([make, make])
        with closing(vector):
            observations, _ = vector.reset(seed=seed)
            same = list(observations) == resets
            require(same, "vector", f"reset in {mode} vector mode differs from one environment")
            observations = vector.step((noop, noop))[0]
            same = list(observations) == steps
            require(same, "vector", f"a step in {mode} vector mode differs from one environment")
