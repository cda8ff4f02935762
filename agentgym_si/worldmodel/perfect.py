"""World models for tests and control arms: the world itself, and one that is wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import gymnasium as gym
import numpy as np

from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.policies.base import History, stable_seed
from agentgym_si.worldmodel.base import Prediction, WorldModel, check_batch
from agentgym_si.worldmodel.imagined import first_of, real_env
from agentgym_si.worldmodel.structure import Structure, Text, join

MOST_RUNNING = 64
"""Episodes kept in mid-play, so that the next step of each needs no replay."""

_Key = tuple[str, int, tuple[str, ...]]


class PerfectWorldModel:
    """The environment itself behind the protocol, by replay of the actions.

    It steps real environments, so what it predicts is no imagined step of any budget. It reads
    which episode it is in from `history.given["episode"]`, which `ImaginedEnv` puts there.

    Args:
        make: makes a real environment, or its id.
    """

    version = "perfect"

    def __init__(self, make: Callable[[], gym.Env[str, str]] | str) -> None:
        """Keep how environments are made."""
        self._make = make
        self._running: dict[_Key, TextEnv] = {}
        self._idle: list[TextEnv] = []

    def predict(
        self,
        histories: Sequence[History],
        actions: Sequence[str],
        *,
        n: int = 1,
        temperature: float | None = None,
        seed: int = 0,
    ) -> list[list[Prediction]]:
        """Return what really happens, n times; raises EnvFailure where the box fails."""
        check_batch(histories, actions, n)
        rows = zip(histories, actions, strict=True)
        return [[self._step(history, action)] * n for history, action in rows]

    def close(self) -> None:
        """Close the environments."""
        for env in (*self._running.values(), *self._idle):
            env.close()
        self._running.clear()
        self._idle.clear()

    def _step(self, history: History, action: str) -> Prediction:
        task, seed, done = _key(history)
        env = self._running.pop((task, seed, done), None) or self._replay(task, seed, done)
        observation, reward, terminated, truncated, info = env.step(action)
        if "failure" in info:
            self._idle.append(env)
            raise EnvFailure(info["failure"]["kind"], info["failure"]["message"])
        if terminated or truncated:
            self._idle.append(env)
        else:
            self._running[(task, seed, (*done, action))] = env
            if len(self._running) > MOST_RUNNING:
                self._idle.append(self._running.pop(next(iter(self._running))))
        return Prediction(observation, float(reward), terminated, version=self.version)

    def _replay(self, task: str, seed: int, done: Sequence[str]) -> TextEnv:
        env = self._idle.pop() if self._idle else self._open()
        first_of(env, env.all_tasks[task], seed)
        for action in done:
            env.step(action)
        return env

    def _open(self) -> TextEnv:
        return real_env(self._make if isinstance(self._make, str) else self._make())


class StillWorldModel:
    """Predicts that nothing happens: what a model must beat, as most of a next page is the last."""

    version = "still"

    def predict(
        self,
        histories: Sequence[History],
        actions: Sequence[str],
        *,
        n: int = 1,
        temperature: float | None = None,
        seed: int = 0,
    ) -> list[list[Prediction]]:
        """Return the newest observation of each history, n times."""
        check_batch(histories, actions, n)
        return [[Prediction(h.observation, version=self.version)] * n for h in histories]


class NoisyWorldModel:
    """Another model, whose prediction is with probability `epsilon` that of another state.

    The dose of a dose-response test: at 0 it is the model itself, at 1 all is shuffled. What it
    says instead is a prediction of the same model in another row of `others`, under the goal of the
    state that was asked about, so that its form is right and its content is not.

    Args:
        world_model: predicts.
        epsilon: probability of a wrong prediction, a row and sample.
        others: histories and actions, of real episodes, whose predictions are said instead.
        seed: of which predictions are wrong.
        structure: says what of an observation is its goal; None for nothing.
    """

    def __init__(
        self,
        world_model: WorldModel,
        epsilon: float,
        others: Sequence[tuple[History, str]],
        *,
        seed: int = 0,
        structure: Structure | None = None,
    ) -> None:
        """Check the arguments; raises BadInput."""
        if not 0.0 <= epsilon <= 1.0:
            raise BadInput(f"expected epsilon in [0, 1], got {epsilon}")
        if not others:
            raise BadInput("expected at least one other state to predict from, got none")
        self.world_model, self.epsilon, self.seed = world_model, epsilon, seed
        self.others = list(others)
        self.structure = structure or Text()
        self.version = f"{world_model.version}~{epsilon:g}"

    def predict(
        self,
        histories: Sequence[History],
        actions: Sequence[str],
        *,
        n: int = 1,
        temperature: float | None = None,
        seed: int = 0,
    ) -> list[list[Prediction]]:
        """Return the model's predictions, some of them of other states."""
        check_batch(histories, actions, n)
        asked = list(zip(histories, actions, strict=True))
        swapped: dict[tuple[int, int], int] = {}
        for row, (history, action) in enumerate(asked):
            key = stable_seed("noise", self.seed, seed, *_said(history), action)
            rng = np.random.default_rng(key)
            for sample in range(n):
                wrong, other = rng.random() < self.epsilon, int(rng.integers(len(self.others)))
                if wrong:
                    swapped[row, sample] = other
        instead = sorted({*swapped.values()})
        rows = [*asked, *(self.others[other] for other in instead)]
        found = self.world_model.predict(
            [history for history, _ in rows],
            [action for _, action in rows],
            n=n,
            temperature=temperature,
            seed=seed,
        )
        place = {other: len(asked) + index for index, other in enumerate(instead)}

        def said(row: int, sample: int) -> Prediction:
            if (row, sample) not in swapped:
                return found[row][sample]
            other = found[place[swapped[row, sample]]][sample]
            goal, _ = self.structure.split(histories[row].observation)
            _, rest = self.structure.split(other.observation)
            return replace(other, observation=join(goal, rest))

        return [
            [replace(said(row, sample), version=self.version) for sample in range(n)]
            for row in range(len(asked))
        ]


def _key(history: History) -> _Key:
    episode = history.given.get("episode")
    if episode is None:
        raise BadInput("expected a history that names its episode in given, as ImaginedEnv's do")
    done = tuple(action.text for action in history.actions)
    return str(episode["task"]), int(episode["seed"]), done


def _said(history: History) -> tuple[object, ...]:
    return history.seed, *history.observations, *(action.text for action in history.actions)
