"""`audit`: can every task be solved, and only by solving it?

For each task the oracle must earn 1, doing nothing 0 and each of the environment's own cheats 0,
and the same seed must give the same episode. Random play is measured beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import gymnasium as gym
import numpy as np

from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.policies.base import stable_seed
from agentgym_si.types import SOLVED

Choose = Callable[[TextEnv], str | None]
"""Returns the next action, or None to stop."""


@dataclass(frozen=True)
class TaskAudit:
    """What was found for one task; episodes whose box failed are counted, nothing else."""

    task: str
    verdict: Literal["ok", "failed", "no oracle"]
    """`no oracle`: all else is right, but nobody knows whether the task can be solved."""
    reason: str
    """What is wrong, or why there is no oracle (the task's data `no_oracle`); empty otherwise."""
    oracle: float | None
    """Least return of the oracle over the seeds; None where it was not played."""
    noop: float | None
    """Greatest return of doing nothing."""
    random: float | None
    """Mean return of random play."""
    cheat: float | None
    """Greatest return of any cheat; None where the environment lists none."""
    repeatable: bool
    """Whether the same actions led to the same observations and rewards again."""
    episodes: int
    failures: int
    """Episodes, of `episodes`, in which the box failed."""


@dataclass(frozen=True)
class AuditReport:
    """The audit of an environment."""

    env_id: str
    seeds: int
    tasks: tuple[TaskAudit, ...]

    @property
    def ok(self) -> bool:
        """Whether no task failed; tasks without an oracle do not fail for that."""
        return all(row.verdict != "failed" for row in self.tasks)


def audit(
    env: str | Callable[[], gym.Env[str, str]] | gym.Env[str, str],
    *,
    tasks: Sequence[str] | None = None,
    seeds: int = 3,
    on_task: Callable[[TaskAudit], None] | None = None,
) -> AuditReport:
    """Audit an environment's tasks.

    Args:
        env: an id for `gym.make`, a function that returns a fresh environment, or one.
        tasks: their ids; None for all that the environment draws from.
        seeds: seeds 0, 1, … that each task is played with.
        on_task: called with each task's row as soon as it is known.

    Raises:
        BadInput: for seeds below 1, or an environment that is no `TextEnv`.
        UnknownName: for a task the environment does not have.
    """
    if seeds < 1:
        raise BadInput(f"expected at least 1 seed, got {seeds}")
    made = env if isinstance(env, gym.Env) else gym.make(env) if isinstance(env, str) else env()
    try:
        world = made.unwrapped
        if not isinstance(world, TextEnv):
            raise BadInput(f"expected a TextEnv to audit, got {type(world).__name__}")
        chosen = world.task_ids if tasks is None else list(tasks)
        for unknown in set(chosen) - set(world.all_tasks):
            raise UnknownName("task", unknown, world.all_tasks, where=type(world).__name__)
        rows: list[TaskAudit] = []
        for task in chosen:
            rows.append(_audit_task(world, task, seeds))
            if on_task is not None:
                on_task(rows[-1])
        name = type(world).__name__ if world.spec is None else world.spec.id
        return AuditReport(name, seeds, tuple(rows))
    finally:
        if made is not env:
            made.close()


@dataclass
class _Episode:
    seed: int
    total: float = 0.0
    failed: bool = False
    actions: list[str] = field(default_factory=list)
    seen: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class _Findings:
    """All episodes of one task, by who played."""

    played: dict[str, list[_Episode]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    repeatable: bool = True

    def add(self, player: str, episode: _Episode) -> _Episode:
        self.played.setdefault(player, []).append(episode)
        return episode

    def returns(self, player: str) -> list[float]:
        return [episode.total for episode in self.played.get(player, []) if not episode.failed]


def _audit_task(env: TextEnv, task: str, seeds: int) -> TaskAudit:
    found = _Findings()
    for seed in range(seeds):
        if env.has_oracle(task):
            solved = found.add("oracle", _play(env, task, seed, _ask_oracle))
            _check_repeat(env, task, solved, found)
        found.add("noop", _play(env, task, seed, lambda env: env.noop))
        rng = np.random.default_rng(stable_seed("audit", task, seed))
        drawn = found.add("random", _play(env, task, seed, _drawer(rng)))
        _check_repeat(env, task, drawn, found)
        env.reset(seed=seed, options={"task": task})
        for cheat in env.cheats():
            found.add("cheat", _play(env, task, seed, _player(cheat)))
    _judge(found)
    episodes = [episode for played in found.played.values() for episode in played]
    verdict: Literal["ok", "failed", "no oracle"] = "ok" if env.has_oracle(task) else "no oracle"
    chance = found.returns("random")
    return TaskAudit(
        task=task,
        verdict="failed" if found.wrong else verdict,
        reason="; ".join(found.wrong) or str(env.all_tasks[task].data.get("no_oracle", "")),
        oracle=min(found.returns("oracle"), default=None),
        noop=max(found.returns("noop"), default=None),
        random=sum(chance) / len(chance) if chance else None,
        cheat=max(found.returns("cheat"), default=None),
        repeatable=found.repeatable,
        episodes=len(episodes),
        failures=sum(episode.failed for episode in episodes),
    )


def _play(env: TextEnv, task: str, seed: int, choose: Choose) -> _Episode:
    observation, info = env.reset(seed=seed, options={"task": task})
    episode = _Episode(seed, seen=[(observation, 0.0)])
    over = False
    while not over and "failure" not in info:
        action = choose(env)
        if action is None:
            break
        observation, reward, terminated, truncated, info = env.step(action)
        episode.actions.append(action)
        episode.seen.append((observation, reward))
        episode.total += reward
        over = terminated or truncated
    episode.failed = "failure" in info
    return episode


def _ask_oracle(env: TextEnv) -> str | None:
    try:
        return env.oracle()
    except NotImplementedError:  # it does not know this state: what is earned so far stands
        return None


def _drawer(rng: np.random.Generator) -> Choose:
    def draw(env: TextEnv) -> str:
        actions = list(env.candidates()) or env.examples
        return actions[int(rng.integers(len(actions)))]

    return draw


def _player(actions: Sequence[str]) -> Choose:
    waiting = iter(actions)
    return lambda env: next(waiting, None)


def _check_repeat(env: TextEnv, task: str, episode: _Episode, found: _Findings) -> None:
    again = found.add("repeat", _play(env, task, episode.seed, _player(episode.actions)))
    if not (episode.failed or again.failed) and again.seen != episode.seen:
        found.repeatable = False
        found.wrong.append(f"seed {episode.seed} gave two different episodes")


def _judge(found: _Findings) -> None:
    """Say what of the returns is wrong."""
    for player, episodes in found.played.items():
        if not any(not episode.failed for episode in episodes):
            found.wrong.append(f"the box failed in every episode of {player}")
        for episode in episodes:
            unsolved = player == "oracle" and episode.total < SOLVED
            unearned = player in ("noop", "cheat") and episode.total != 0.0
            if not episode.failed and (unsolved or unearned):
                what = f"{player} earned {episode.total:g} at seed {episode.seed}"
                first = f" (it begins with {episode.actions[0][:40]!r})" if episode.actions else ""
                found.wrong.append(what + (first if player == "cheat" else ""))
