"""`ThreadVectorEnv`: many environments stepped at once, each in a thread of its own.

For worlds that mostly wait for another process: the pages of one browser, a pool of sandboxes.
Beside Gymnasium's lock-step `step` there are `send` and `recv`, which gives back whichever
environments are ready, so that a slow one holds nobody up.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agentgym_si.envs import ENTRY_POINTS
from agentgym_si.errors import BadInput

Texts = tuple[str, ...]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Ready(NamedTuple):
    """What one environment came back with: `step`'s five values, and which it was."""

    number: int
    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class ThreadVectorEnv(VectorEnv[Any, Any, Any]):
    """N environments behind Gymnasium's vector interface.

    Observations and actions are tuples of N texts, rewards (N,) float64, ends (N,) bool. As in
    Gymnasium's own vectors, an environment whose episode is over is reset by the next step, whose
    action it ignores (reward 0); with `autoreset_mode` "SameStep" it is reset within the step, and
    the last observation and info are under "final_obs" and "final_info"; with "Disabled" the
    caller resets.

    Args:
        env_fns: N functions that make an environment each, all of the same spaces.
        autoreset_mode: Gymnasium's `AutoresetMode`, or its value.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gym.Env[str, str]]],
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        """Make the environments; raises BadInput where there is none."""
        if not env_fns:
            raise BadInput("expected at least one environment")
        self.envs = [make() for make in env_fns]
        self.num_envs = len(self.envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.envs[0].metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self.envs[0].render_mode
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._threads = ThreadPoolExecutor(self.num_envs, thread_name_prefix="agentgym-si env")
        self._over = [False] * self.num_envs
        self._under_way: dict[int, Future[None]] = {}
        self._ready: queue.SimpleQueue[Ready | BaseException] = queue.SimpleQueue()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Texts, dict[str, Any]]:
        """Reset all; environment i gets seed + i, or the i-th of a sequence.

        `options={"reset_mask": (N,) bool, …}` resets those only; the others' observation is empty.
        Raises BadInput while something sent was not received.
        """
        self._expect_idle()
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        chosen = range(self.num_envs) if mask is None else np.flatnonzero(mask).tolist()
        seeds = self._seeds(seed)
        jobs = {
            index: self._threads.submit(
                self.envs[index].reset, seed=seeds[index], options=options or None
            )
            for index in chosen
        }
        observations, infos = [""] * self.num_envs, dict[str, Any]()
        for index, job in jobs.items():
            observations[index], info = job.result()
            self._over[index] = "failure" in info
            infos = self._add_info(infos, info, index)
        return tuple(observations), infos

    def step(self, actions: Sequence[str]) -> tuple[Texts, Floats, Bools, Bools, dict[str, Any]]:
        """Step all at once; raises BadInput for another number of actions."""
        if len(actions) != self.num_envs:
            raise BadInput(f"expected {self.num_envs} actions, got {len(actions)}")
        self.send(dict(enumerate(actions)))
        results = sorted(self.recv(self.num_envs))
        infos: dict[str, Any] = {}
        for result in results:
            infos = self._add_info(infos, result.info, result.number)
        return (
            tuple(result.observation for result in results),
            np.array([result.reward for result in results], np.float64),
            np.array([result.terminated for result in results], np.bool_),
            np.array([result.truncated for result in results], np.bool_),
            infos,
        )

    def send(self, actions: Mapping[int, str]) -> None:
        """Begin a step of the environments named; raises BadInput for one that is under way."""
        busy = sorted(set(actions) & set(self._under_way))
        unknown = sorted(set(actions) - set(range(self.num_envs)))
        if busy or unknown:
            raise BadInput(f"expected environments that wait, got {(busy or unknown)[:5]}")
        for index, action in actions.items():
            self._under_way[index] = self._threads.submit(self._play, index, action)

    def recv(self, at_least: int = 1) -> list[Ready]:
        """Return all that is ready, in the order it came; wait until there are `at_least`.

        Raises BadInput where fewer are under way, and what an environment raised.
        """
        if not 1 <= at_least <= len(self._under_way):
            raise BadInput(f"expected 1 to {len(self._under_way)} under way, got {at_least}")
        ready: list[Ready] = []
        while len(ready) < at_least or not self._ready.empty():
            came = self._ready.get()
            if isinstance(came, BaseException):
                raise came
            del self._under_way[came.number]
            ready.append(came)
        return ready

    def render(self) -> tuple[Any, ...] | None:
        """Return each environment's picture or text."""
        self._expect_idle()
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **_: Any) -> None:
        """Close the environments, after what is under way."""
        self._threads.shutdown()
        for env in self.envs:
            env.close()

    # Inside -------------------------------------------------------------------------------

    def _play(self, index: int, action: str) -> None:
        try:
            self._ready.put(self._step_one(index, action))
        except BaseException as error:  # raised again by recv, on the caller's thread
            self._under_way.pop(index, None)
            self._ready.put(error)

    def _step_one(self, index: int, action: str) -> Ready:
        env = self.envs[index]
        if self._over[index] and self.autoreset_mode is AutoresetMode.NEXT_STEP:
            observation, info = env.reset()
            self._over[index] = "failure" in info
            return Ready(index, observation, 0.0, False, self._over[index], info)
        observation, reward, terminated, truncated, info = env.step(action)
        self._over[index] = terminated or truncated
        if self._over[index] and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = {"final_obs": observation, "final_info": info}
            observation, info = env.reset()
            self._over[index] = "failure" in info
            info = {**info, **final}
        return Ready(index, observation, float(reward), terminated, truncated, info)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None or isinstance(seed, int):
            return [None if seed is None else seed + index for index in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise BadInput(f"expected {self.num_envs} seeds, got {len(seed)}")
        return list(seed)

    def _expect_idle(self) -> None:
        if self._under_way:
            raise BadInput(f"expected recv() of {len(self._under_way)} steps before this")


def vector_of(env_id: str, num_envs: int = 1, **arguments: Any) -> ThreadVectorEnv:
    """Return `num_envs` environments of an id in one vector; what `gym.make_vec` calls."""
    mode = arguments.pop("autoreset_mode", AutoresetMode.NEXT_STEP)
    return ThreadVectorEnv([partial(gym.make, env_id, **arguments)] * num_envs, autoreset_mode=mode)


def __getattr__(name: str) -> Callable[..., ThreadVectorEnv]:
    """Return `vector_of` an id; Gymnasium looks a vector's maker up by a text."""
    if name not in ENTRY_POINTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(vector_of, name)
