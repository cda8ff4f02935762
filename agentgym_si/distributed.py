"""Environments in Ray's worker processes; the policy and the store stay in this one, the driver.

An environment made by `RayWorkers.make` is played like any other: `rollouts.play` steps all that
are in flight at the same time, each in its worker, and the policy acts on all of them at once. What
comes out is the same as without Ray, costs in seconds aside.

A worker that dies is replaced, and what was done in its running episodes is done again in the new
one: an episode is a function of task, seed and actions, so the policy is not asked twice, no
episode is lost and none is stored twice. Where the world comes out different, or its workers keep
dying, the episode is a failure of the box ("worker").
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, ClassVar

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from agentgym_si.errors import AgentGymError, BadInput, EnvFailure, MissingDependency
from agentgym_si.types import Task

for _name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
    os.environ.setdefault(_name, "0")  # nothing is reported to anyone; devices stay as they are

try:
    import ray
    from ray.exceptions import ActorDiedError, ActorUnavailableError
except ImportError as error:
    raise MissingDependency(
        "playing on several workers needs ray: pip install 'agentgym-si[ray]'"
    ) from error

logger = logging.getLogger(__name__)

LOCAL = "local"
"""The address that starts Ray on this machine alone, for as long as the workers are held."""

MOST_LIVES = 3
"""Workers that may die under one call before its episode is given up."""

_STATEFUL = ("reset", "step", "restore")
_OWN = ("foresee", "close", "render", "get_wrapper_attr", "has_wrapper_attr", "set_wrapper_attr")


@dataclass(frozen=True)
class Described:
    """What of an environment does not change while it is open."""

    all_tasks: Mapping[str, Task]
    noop: str
    action_space: gym.Space[str]
    observation_space: gym.Space[str]
    methods: frozenset[str]
    """Names of what may be called on it, beside Gymnasium's own."""


@dataclass(frozen=True)
class Answer:
    """What a call gave."""

    value: Any
    told: tuple[str, tuple[Mapping[str, Any], ...]]
    """Instructions and tools after the call."""
    error: tuple[str, ...] = ()
    """A refusal of the environment's: kind and message of a failure, or one message."""


class EnvWorker:
    """Holds environments by number; one of them acts at a time."""

    def __init__(self, path: list[str]) -> None:
        """Make what the driver can import importable here."""
        sys.path += [entry for entry in path if entry not in sys.path]
        self._envs: dict[int, gym.Env[str, str]] = {}

    def process(self) -> int:
        """Return the worker's process id."""
        return os.getpid()

    def open(self, number: int, spec: EnvSpec, options: dict[str, Any]) -> Described:
        """Make an environment."""
        self.close(number)
        env: gym.Env[str, str] = gym.make(spec, disable_env_checker=True, **options)
        self._envs[number] = env
        inner: Any = env.unwrapped
        public = [name for name in dir(type(inner)) if not name.startswith("_")]
        methods = {name for name in public if callable(getattr(type(inner), name))}
        return Described(
            dict(getattr(inner, "all_tasks", {})),
            str(getattr(inner, "noop", "")),
            env.action_space,
            env.observation_space,
            frozenset(methods - {*_STATEFUL, *_OWN}) | (methods & {"restore"}),
        )

    def call(
        self, number: int, name: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Answer:
        """Call a method of an environment; what the environment refuses is in the answer."""
        env = self._envs[number]
        method = getattr(env if name in ("reset", "step") else env.unwrapped, name)
        value: Any = None
        refused: tuple[str, ...] = ()
        try:
            value = method(*arguments, **named)
        except EnvFailure as broken:
            refused = (broken.kind, broken.message)
        except AgentGymError as wrong:
            refused = (str(wrong),)
        told = (
            getattr(env.unwrapped, "instructions", ""),
            tuple(getattr(env.unwrapped, "tools", ())),
        )
        return Answer(value, told, refused)

    def close(self, number: int) -> None:
        """Close an environment where it is open."""
        if number in self._envs:
            self._envs.pop(number).close()


class RayWorkers:
    """Worker processes of a Ray cluster that environments are spread over in turn.

    Args:
        address: of a running cluster, or LOCAL.
        workers: how many processes, each of one CPU; None for one a CPU.

    Raises:
        BadInput: for less than one worker, and where no cluster answers.
        MissingDependency: where ray is not installed.
    """

    def __init__(self, address: str = LOCAL, workers: int | None = None) -> None:
        """Connect, and start the workers."""
        if workers is not None and workers < 1:
            raise BadInput(f"expected at least 1 worker, got {workers}")
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(address, workers)
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        processors = int(resources.get("CPU", 1))
        if workers is None:
            workers = max(1, processors)
        elif workers > processors:
            logger.warning(
                "%d workers asked for, %d processors in the cluster: episodes of the others wait",
                workers,
                processors,
            )
        make = partial(ray.remote(num_cpus=1)(EnvWorker).remote, list(sys.path))
        self.workers = [_Worker(make) for _ in range(workers)]
        self._opened = 0

    def __enter__(self) -> RayWorkers:
        """Return the workers themselves."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Let the workers go."""
        self.close()

    def make(self, env_id: str | EnvSpec, **options: Any) -> RemoteEnv:
        """Return an environment in the next worker; takes what `gym.make` takes."""
        options.pop("disable_env_checker", None)  # the checker would look at the worker's copy
        spec = gym.spec(env_id) if isinstance(env_id, str) else env_id
        number = self._opened
        self._opened += 1
        return RemoteEnv(self.workers[number % len(self.workers)], number, spec, options)

    def processes(self) -> list[int]:
        """Return the workers' process ids."""
        return [int(ray.get(worker.actor.process.remote())) for worker in self.workers]

    def close(self) -> None:
        """End the workers, and Ray where it was started here; safe to call again."""
        for worker in self.workers:
            ray.kill(worker.actor)
        self.workers = []
        if self._ours:
            ray.shutdown()
            self._ours = False


def _connect(address: str, workers: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"num_cpus": workers or os.cpu_count(), "_node_ip_address": "127.0.0.1"}
        options |= {"include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"expected `{LOCAL}` or a Ray cluster at {address}: {reason}") from error


class _Worker:
    """One actor, and how another takes its place; shared by the environments in it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock = make, Lock()
        self.actor, self.life = make(), 0

    def present(self) -> tuple[Any, int]:
        """Return the actor and how manieth it is."""
        with self._lock:
            return self.actor, self.life

    def replace(self, life: int) -> None:
        """Start another actor where that of `life` is still the present one."""
        with self._lock:
            if self.life == life:
                ray.kill(self.actor)  # where it was only out of reach
                self.actor, self.life = self._make(), life + 1


@dataclass
class _Done:
    """A call that changed the episode, and what of its answer must come out again."""

    name: str
    arguments: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    gave: Any = None


class RemoteEnv(gym.Env[str, str]):
    """An environment that lives in a worker; `unwrapped` is this, and has what the real one has."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own form)
    waits: ClassVar[bool] = True
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()

    def __init__(
        self, worker: _Worker, number: int, spec: EnvSpec, options: dict[str, Any]
    ) -> None:
        """Open the environment in its worker."""
        self._worker, self._number, self._options = worker, number, options
        self.spec = spec
        self._life = -1
        self._done: list[_Done] = []
        self._described = self._open(*worker.present())
        self.all_tasks, self.noop = self._described.all_tasks, self._described.noop
        self.action_space = self._described.action_space
        self.observation_space = self._described.observation_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode; a worker that keeps dying is a failure in info."""
        self._done = []
        try:
            result: tuple[str, dict[str, Any]] = self._change("reset", seed=seed, options=options)
        except EnvFailure as broken:
            task = str((options or {}).get("task", ""))
            return "", {"task": task, "seed": seed, "failure": _as_info(broken)}
        return result

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Carry an action out; a worker that keeps dying is a failure in info."""
        try:
            result: tuple[str, float, bool, bool, dict[str, Any]] = self._change("step", action)
        except EnvFailure as broken:
            return "", 0.0, False, True, {"failure": _as_info(broken)}
        return result

    def close(self) -> None:
        """Close the environment where its worker still lives."""
        actor, life = self._worker.present()
        if self._life == life:
            actor.close.remote(self._number)
        self._life = -1

    def __getattr__(self, name: str) -> Any:
        """Return a method of the environment in the worker."""
        if name.startswith("_") or name not in self._described.methods:
            raise AttributeError(f"{self.spec.id if self.spec else 'env'} has no {name!r}")
        if name in _STATEFUL:
            return partial(self._change, name)
        return partial(self._ask, name)

    # Inside -------------------------------------------------------------------------------

    def _change(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Make a call that changes the episode, and remember it."""
        value = self._ask(name, *arguments, **named)
        if name == "restore":  # an environment has to be reset once before
            self._done = [done for done in self._done[:1] if done.name == "reset"]
        self._done.append(_Done(name, arguments, named, _comparable(name, value)))
        return value

    def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Make a call, in a worker that takes the place of one that died if it must be."""
        for _ in range(MOST_LIVES):
            actor, life = self._worker.present()
            try:
                if self._life != life:
                    self._open(actor, life)
                    self._play_again(actor)
                return self._read(actor, name, arguments, named)
            except (ActorDiedError, ActorUnavailableError):
                self._worker.replace(life)
        raise EnvFailure("worker", f"{MOST_LIVES} workers died under {name} of one episode")

    def _open(self, actor: Any, life: int) -> Described:
        described: Described = ray.get(actor.open.remote(self._number, self.spec, self._options))
        self._life = life
        return described

    def _play_again(self, actor: Any) -> None:
        """Bring a fresh environment to where the one that was lost had come."""
        for done in self._done:
            value = self._read(actor, done.name, done.arguments, done.named)
            if _comparable(done.name, value) != done.gave:
                self._life = -1
                raise EnvFailure("worker", f"played again, {done.name} came out different")

    def _read(
        self, actor: Any, name: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        answer: Answer = ray.get(actor.call.remote(self._number, name, arguments, named))
        self.instructions, self.tools = answer.told
        if len(answer.error) == 2:
            raise EnvFailure(*answer.error)
        if answer.error:
            raise BadInput(*answer.error)
        return answer.value


def _comparable(name: str, value: Any) -> Any:
    """Return what of an answer must come out the same again: all but info."""
    return value[:-1] if name in ("reset", "step") else value


def _as_info(broken: EnvFailure) -> dict[str, str]:
    return {"kind": broken.kind, "message": broken.message}
