"""Guards `check_env` itself: every rule must fail on an environment that breaks it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si.envs.base import Snapshot, Step, TextEnv
from agentgym_si.errors import ActionError, EnvFailure
from agentgym_si.spaces import FreeText
from agentgym_si.testing import check_env
from agentgym_si.types import Task


class Door(TextEnv):
    """A door that opens to the word on it; the second word is only shown after the first."""

    instructions = "Say the words on the door."
    examples = ("say ax", "say bo")
    words = ("ax", "bo", "cy", "do")

    def tasks(self) -> Sequence[Task]:
        return [Task("front"), Task("back")]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.secret = [str(word) for word in rng.choice(self.words, size=2)]
        self.said = 0
        return f"{task.id}: {self.secret[0]}"

    def act(self, action: str) -> Step:
        if action == self.noop:
            return "quiet", 0.0, False
        if not action.startswith("say "):
            raise ActionError("say something")
        if action != f"say {self.secret[self.said]}":
            return "no", 0.0, False
        self.said += 1
        opened = self.said == 2
        return "open" if opened else f"next: {self.secret[1]}", float(opened), opened

    def oracle(self) -> str:
        return f"say {self.secret[self.said]}"

    def candidates(self) -> Sequence[str]:
        return [f"say {word}" for word in self.words]

    def step_info(self) -> Mapping[str, Any]:
        return {"said": self.said}


def test_a_good_environment_passes() -> None:
    """A contract that nothing can keep."""
    check_env(Door)


# Environments that break one rule each ------------------------------------------------------


class UsesRandom(Door):
    def start(self, task: Task, rng: np.random.Generator) -> str:
        return super().start(task, rng) + random.choice("ab")


class SeedsNumpy(Door):
    def start(self, task: Task, rng: np.random.Generator) -> str:
        np.random.seed(0)
        return super().start(task, rng)


class ShowsTheClock(Door):
    def act(self, action: str) -> Step:
        observation, reward, terminated = super().act(action)
        return f"{observation} at {time.time()}", reward, terminated


class ShowsTheSecond(Door):
    def start(self, task: Task, rng: np.random.Generator) -> str:
        return super().start(task, rng) + time.strftime(" at %H:%M:%S")


class ForgetsTheSeed(Door):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is None:
            seed = time.perf_counter_ns() % 2**31
        return super().reset(seed=seed, options=options)


class RemembersEpisodes(Door):
    episodes = 0

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.episodes += 1
        return super().start(task, rng) + " again" * (self.episodes > 1)


class SharesItsSecret(Door):
    shared: ClassVar[list[str]] = []

    def start(self, task: Task, rng: np.random.Generator) -> str:
        observation = super().start(task, rng)
        self.shared[:] = self.secret
        return observation

    def act(self, action: str) -> Step:
        self.secret = list(self.shared)
        return super().act(action)


class CountsInstances(Door):
    made = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        CountsInstances.made += 1
        self.number = CountsInstances.made

    def start(self, task: Task, rng: np.random.Generator) -> str:
        return super().start(task, rng) + " in a crowd" * (self.number > 4)


class DiesOfNoise(Door):
    def act(self, action: str) -> Step:
        return super().act(action if action == self.noop else f"say {action.split(' ')[1]}")


class PaysForNoise(Door):
    def act(self, action: str) -> Step:
        return ("a lot", 0.5, False) if len(action) > 900 else super().act(action)


class SetsBothFlags(Door):
    def step(self, action: str) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated or terminated, info


class NeverTruncates(Door):
    def step(self, action: str) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, False, info


class TruncatesEarly(Door):
    def step(self, action: str) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        early = len(self._actions) == 8
        return observation, reward, terminated, truncated or early, info


class GoesOnAfterTheEnd(Door):
    def step(self, action: str) -> Any:
        self._over = False
        return super().step(action)


class IgnoresOptions(Door):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        known = {key: value for key, value in (options or {}).items() if key == "task"}
        return super().reset(seed=seed, options=known)


class DrawsForUnknownTasks(Door):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        known = (options or {}).get("task") in self.all_tasks
        return super().reset(seed=seed, options=options if known else {})


class PaysNothingAtAll(Door):
    def act(self, action: str) -> Step:
        observation, _, terminated = super().act(action)
        return observation, float("nan"), terminated


class TellsObjects(Door):
    def step_info(self) -> Mapping[str, Any]:
        return {"words": set(self.secret)}


class NamesNoTask(Door):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        observation, info = super().reset(seed=seed, options=options)
        return observation, {"seed": info["seed"]}


class SaysNothing(Door):
    instructions = " "


class OpensByItself(Door):
    def act(self, action: str) -> Step:
        return ("open", 1.0, True) if action == self.noop else super().act(action)


class HasAWrongNoop(Door):
    noop = None  # type: ignore[assignment]


class TellsBadTools(Door):
    tools = ({"name": {"a", "set"}},)


class OffersNumbers(Door):
    def candidates(self) -> Sequence[str]:
        return [1, 2]  # type: ignore[list-item]


class GivesUp(Door):
    def oracle(self) -> str:
        raise NotImplementedError


class StartsOverOnRestore(Door):
    def restore(self, state: Snapshot) -> str:
        self._begin(state.task_id, state.seed)
        return state.observation


class RestoresAnotherPage(Door):
    def restore(self, state: Snapshot) -> str:
        return super().restore(state).upper()


class DiesOnSecondClose(Door):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


class IsAnotherWorldAfterClose(Door):
    closed = ""

    def start(self, task: Task, rng: np.random.Generator) -> str:
        return super().start(task, rng) + self.closed

    def close(self) -> None:
        self.closed = " (reopened)"


class Unseeded(FreeText):
    def sample(self, mask: None = None, probability: None = None) -> str:
        return f"say {time.perf_counter_ns()}"


class SamplesByTheClock(Door):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.action_space = Unseeded()


class SharesItsInfo(Door):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log = {"never": "copied"}

    def step_info(self) -> Mapping[str, Any]:
        return {"log": self.log}


class BreaksDown(Door):
    def act(self, action: str) -> Step:
        raise EnvFailure("crash", "the hinges are gone")


class NoTextEnv(gym.Env[str, str]):
    observation_space = action_space = FreeText()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (UsesRandom, "global generators: .* changed the state of random"),
        (SeedsNumpy, "global generators: .* changed the state of numpy.random"),
        (ShowsTheClock, "seeds: .* observation of step 1"),
        (ShowsTheSecond, "(seeds|instances|snapshot): "),  # wherever the second happens to end
        (ForgetsTheSeed, "seeds: episodes after a seeded reset differ"),
        (RemembersEpisodes, "seeds: .* played again"),
        (SharesItsSecret, "instances: .* played beside another instance"),
        (CountsInstances, "vector: reset in sync vector mode differs"),
        (DiesOfNoise, r"agent's mistakes: step\(''\) raised IndexError"),
        (PaysForNoise, "agent's mistakes: .* earned 0.5"),
        (SetsBothFlags, "terminated and truncated: both are set"),
        (NeverTruncates, "limit: no truncation after 10 steps"),
        (TruncatesEarly, "limit: truncated after 8 steps, before 10"),
        (GoesOnAfterTheEnd, "limit: a step after the end .* did not raise"),
        (IgnoresOptions, "reset options: {'tsak'.* did not raise UnknownName"),
        (DrawsForUnknownTasks, "reset options: .* did not raise UnknownName"),
        (PaysNothingAtAll, "reward: expected a finite number, got nan"),
        (TellsObjects, "info: expected JSON"),
        (NamesNoTask, "info: expected task 'front', got None"),
        (SaysNothing, "instructions: expected a text"),
        (OpensByItself, "no-op: doing nothing earned 1.0"),
        (HasAWrongNoop, "no-op: expected a string, got None"),
        (TellsBadTools, "tools: expected JSON schemas"),
        (OffersNumbers, "candidates: expected strings, got 1"),
        (GivesUp, "oracle: of task 'front' gives up at step 0"),
        (StartsOverOnRestore, "snapshot: .* restored"),
        (RestoresAnotherPage, "snapshot: restore did not return"),
        (DiesOnSecondClose, "close: raised RuntimeError: already closed"),
        (IsAnotherWorldAfterClose, "close: a reset after close gave another episode"),
        (SamplesByTheClock, "spaces: action_space.sample"),
        (SharesItsInfo, "Gymnasium's check_env: .* share an object"),
        (BreaksDown, "box: the box failed: .*hinges"),
        (NoTextEnv, "text environment: expected a TextEnv, got NoTextEnv"),
    ],
)
def test_a_broken_environment_fails_by_the_rules_name(
    broken: Callable[[], gym.Env[str, str]], rule: str
) -> None:
    """A contract that passes what it forbids, or does not say what is wrong."""
    states = random.getstate(), np.random.get_state()
    try:
        with pytest.raises(AssertionError, match=f"^{rule}"):
            check_env(broken)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def test_an_entry_point_that_is_no_text_fails() -> None:
    """A spec that cannot be sent to another process."""
    gym.register("test/Door-v0", entry_point=Door)
    try:
        with pytest.raises(AssertionError, match=r"^spec: it is no JSON; register a string"):
            check_env("test/Door-v0")
    finally:
        del gym.registry["test/Door-v0"]


def test_the_tasks_to_play_can_be_named() -> None:
    """A check of one new task that has to play all others."""

    class BackIsBroken(Door):
        def start(self, task: Task, rng: np.random.Generator) -> str:
            return super().start(task, rng) + str(time.perf_counter_ns()) * (task.id == "back")

    with pytest.raises(AssertionError, match=r"^seeds: task 'back'"):
        check_env(lambda: BackIsBroken("back"))
    check_env(lambda: BackIsBroken("front"), tasks=["front"])
