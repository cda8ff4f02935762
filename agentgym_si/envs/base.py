"""`TextEnv`: the contract of every environment here, written once.

A subclass says which tasks there are (`tasks`), sets one up (`start`) and carries an action out
(`act`). The base does seeding, limits, failures, `snapshot` and `restore`.
"""

from __future__ import annotations

import fnmatch
import re
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np

from agentgym_si.errors import (
    ActionError,
    BadInput,
    EnvFailure,
    RestoreMismatch,
    UnknownName,
)
from agentgym_si.spaces import FreeText
from agentgym_si.types import Task, World

Step = tuple[str, float, bool]
"""What `act` returns: observation, reward, terminated."""

MAX_ACTION_CHARACTERS = 1 << 20

ERROR = "error: "
"""How an observation begins that says why an action could not be carried out."""


class Snapshot(NamedTuple):
    """An episode in mid-play: replaying `actions` from (`seed`, `task_id`) leads to it."""

    task_id: str
    seed: int
    actions: tuple[str, ...]
    observation: str


class TextEnv(gym.Env[str, str]):
    """A world that is read and acted on in text.

    Subclasses write `tasks`, `start` and `act`, and where they can `oracle`, `candidates`,
    `cheats` and `close`. An episode is a function of (seed, task id): draw only from the `rng`
    that `start` is given.

    Args:
        task: an id, a glob (`"click-*"`), or None for all tasks of the split.
        split: only tasks of this split; None for all.
        max_steps: steps after which an episode is truncated; None for the class's default.
        render_mode: None, "ansi", or what the class adds to its metadata.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (Gymnasium's own form)
        "render_modes": ["ansi"],
        "render_fps": 1,
    }
    instructions: str = ""
    """All that a policy is told beside the observations."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """JSON schemas of the tools, where actions are tool calls."""
    noop: str = "noop()"
    """An action that does nothing; every environment has one."""
    default_max_steps: ClassVar[int] = 10
    waits: ClassVar[bool] = False
    """True where a step mostly waits for another process: rollouts then step in threads."""
    world: ClassVar[World] = "real"
    """What answers: this environment itself, unless a subclass puts something in its place."""
    examples: ClassVar[Sequence[str]] = ("noop()",)
    """Actions that `action_space.sample()` draws from."""

    def __init__(
        self,
        task: str | None = None,
        *,
        split: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Choose the tasks; raises UnknownName and BadInput."""
        if max_steps is not None and max_steps < 1:
            raise BadInput(f"expected max_steps of at least 1, got {max_steps}")
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise UnknownName("render mode", render_mode, modes, where=type(self).__name__)
        self.all_tasks = {entry.id: entry for entry in self.tasks()}
        self.task_ids = _select(self.all_tasks, task, split, type(self).__name__)
        self.max_steps = self.default_max_steps if max_steps is None else max_steps
        """Steps after which the running episode is truncated."""
        self.given_max_steps = max_steps
        """The limit that was asked for, whatever the task; None for each task's own."""
        self.render_mode = render_mode
        self.observation_space = FreeText()
        self.action_space = FreeText(MAX_ACTION_CHARACTERS * 4, examples=self.examples)
        self.env_seconds = 0.0
        """Seconds spent inside this world so far, model time excluded."""
        self._task: Task | None = None
        self._seed = 0
        self._actions: list[str] = []
        self._observation = ""
        self._over = True

    # What a subclass writes ---------------------------------------------------------------

    @abstractmethod
    def tasks(self) -> Sequence[Task]:
        """Return every task, in a fixed order."""

    @abstractmethod
    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Set `task` up, all chance drawn from `rng`; return the first observation."""

    @abstractmethod
    def act(self, action: str) -> Step:
        """Carry `action` out; return observation, reward, terminated.

        Raise ActionError for what the agent did wrong (it becomes the observation) and
        EnvFailure where the box failed.
        """

    def step_limit(self, task: Task) -> int:
        """Return the steps after which an episode of `task` is truncated, where none were given."""
        return self.default_max_steps

    def oracle(self) -> str:
        """Return an action that leads to the full return from the present state."""
        if self._task is None or len(self._actions) >= len(self._task.solution):
            raise NotImplementedError(f"{type(self).__name__} has no oracle for this state")
        return self._task.solution[len(self._actions)]

    def has_oracle(self, task_id: str) -> bool:
        """Say whether `oracle` knows the task."""
        return bool(self.all_tasks[task_id].solution) or type(self).oracle is not TextEnv.oracle

    def candidates(self) -> Sequence[str]:
        """Return actions that are legal in the present state, in a fixed order; may be empty."""
        return ()

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return sequences of actions that must earn nothing; the audit plays them."""
        return ()

    def feedback(self, action: str) -> str:
        """Say what is wrong with an action, as far as can be told before it counts; "" if nothing.

        It changes nothing, and reads nothing that is hidden from the policy. Raises BadInput in an
        environment that tells nothing before an action is carried out, EnvFailure.
        """
        raise BadInput(f"{type(self).__name__} tells nothing of an action before it is carried out")

    def step_info(self) -> Mapping[str, Any]:
        """Return what of the last step belongs into `info` (JSON only), never shown to a policy."""
        return {}

    # Gymnasium ----------------------------------------------------------------------------

    @property
    def current_task(self) -> Task:
        """The task of the running episode; raises BadInput before the first reset."""
        if self._task is None:
            raise BadInput("expected reset() before the task is asked for")
        return self._task

    @property
    def episode_seed(self) -> int:
        """The seed that, with the task's id, fixes the running episode."""
        return self._seed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode; `options={"task": id}` names its task.

        With a seed the episode is a function of it and the task; without, of the environment's
        own generator. Returns observation and info with `task`, `seed` and, where the box failed,
        `failure`.
        """
        super().reset(seed=seed)
        unknown = set(options or {}) - {"task"}
        if unknown:
            raise UnknownName("reset option", sorted(unknown)[0], ["task"])
        drawn_seed = int(self.np_random.integers(2**31))
        drawn_task = self.task_ids[int(self.np_random.integers(len(self.task_ids)))]
        task_id = (options or {}).get("task", drawn_task)
        if task_id not in self.all_tasks:
            raise UnknownName("task", str(task_id), self.all_tasks, where=type(self).__name__)
        return self._begin(task_id, drawn_seed if seed is None else seed)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Carry an action out; see `reset` for info, which adds `action_error` where it is one.

        `action_error_code` is there where the error has a word for it.
        """
        if self._over:
            raise gym.error.ResetNeeded("the episode is over, or none was begun: call reset()")
        if not isinstance(action, str):
            raise BadInput(f"expected an action of type str, got {type(action).__name__}")
        began = time.perf_counter()
        reward, terminated, error, code = 0.0, False, "", ""
        failure: EnvFailure | None = None
        self._actions.append(action)
        try:
            if len(action) > MAX_ACTION_CHARACTERS:
                raise ActionError(
                    f"expected at most {MAX_ACTION_CHARACTERS} characters, got {len(action)}"
                )
            observation, reward, terminated = self.act(action)
            self._observation = valid_text(observation)
        except ActionError as mistake:
            error, code = _shorten(str(mistake)), mistake.code
            try:
                self._observation = valid_text(self.describe_error(error))
            except EnvFailure as broken:
                failure = broken
        except EnvFailure as broken:
            failure = broken
        self.env_seconds += time.perf_counter() - began
        truncated = failure is not None or (not terminated and len(self._actions) >= self.max_steps)
        self._over = terminated or truncated
        info = self._info(failure)
        if error:
            info["action_error"] = error
        if code:
            info["action_error_code"] = code
        return self._observation, float(reward), bool(terminated), truncated, info

    def describe_error(self, error: str) -> str:
        """Return the observation after an action that could not be carried out."""
        return f"{ERROR}{error}"

    def render(self) -> Any:
        """Return the last observation in mode "ansi"."""
        return self._observation if self.render_mode == "ansi" else None

    # Snapshots ----------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the running episode's state; raises BadInput where none runs."""
        if self._over:
            raise BadInput("expected an episode in mid-play to take a snapshot of")
        return Snapshot(self.current_task.id, self._seed, tuple(self._actions), self._observation)

    def restore(self, state: Snapshot) -> str:
        """Go back to a snapshot by replaying its actions; return its observation.

        Raises RestoreMismatch where the replay came out different, EnvFailure where the box
        failed on the way.
        """
        _, info = self._begin(state.task_id, state.seed)
        for action in state.actions:
            if "failure" in info or self._over:
                break
            info = self.step(action)[4]
        if "failure" in info:
            raise EnvFailure(info["failure"]["kind"], info["failure"]["message"])
        if self._over or self._observation != state.observation:
            raise RestoreMismatch(
                f"replaying {len(state.actions)} actions of task {state.task_id!r}, seed "
                f"{state.seed}: expected observation {state.observation[:80]!r}, "
                f"got {self._observation[:80]!r}"
            )
        return self._observation

    # Inside -------------------------------------------------------------------------------

    def _begin(self, task_id: str, seed: int) -> tuple[str, dict[str, Any]]:
        self._task, self._seed, self._actions, self._over = self.all_tasks[task_id], seed, [], False
        self.max_steps = self.given_max_steps or self.step_limit(self._task)
        began = time.perf_counter()
        failure: EnvFailure | None = None
        try:
            self._observation = valid_text(self.start(self._task, np.random.default_rng(seed)))
        except EnvFailure as broken:
            self._observation, failure, self._over = "", broken, True
        self.env_seconds += time.perf_counter() - began
        return self._observation, self._info(failure)

    def _info(self, failure: EnvFailure | None) -> dict[str, Any]:
        info: dict[str, Any] = {"task": self.current_task.id, "seed": self._seed}
        if failure is not None:
            info["failure"] = {"kind": failure.kind, "message": failure.message}
        else:
            info.update(self.step_info())
        return info


def valid_text(text: str) -> str:
    """Return `text` with a replacement character for each lone surrogate.

    A page may hold them; UTF-8 files, Arrow tables and tokenizers cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def _select(
    tasks: Mapping[str, Task], pattern: str | None, split: str | None, where: str
) -> list[str]:
    ids = list(tasks)
    if split is not None:
        splits = {task.split for task in tasks.values()}
        if split not in splits:
            raise UnknownName("split", split, splits, where=where)
        ids = [task_id for task_id in ids if tasks[task_id].split == split]
    if pattern is None:
        return ids
    if pattern in ids:
        return [pattern]
    chosen = [task_id for task_id in ids if fnmatch.fnmatchcase(task_id, pattern)]
    if not chosen:
        raise UnknownName("task", pattern, ids, where=where)
    return chosen


def _shorten(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
