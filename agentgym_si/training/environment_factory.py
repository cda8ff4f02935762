"""Any of our environments as TRL's `environment_factory`, for GRPO scripts of one's own.

    trainer = GRPOTrainer(
        …,
        train_dataset=Dataset.from_list(task_rows(["bank-l1-0003"], seeds=range(100))),
        environment_factory=environment_factory("agentgym_si/Tools-v0", task="bank-l1-*"),
    )

TRL finds tools by a class's public methods, so a class is made for the environment: a method for
each of its tools, or one method `act` where actions are text. It has no way to end an episode: a
call after the end is answered by a sentence. What TRL does with exceptions, text for the model, is
no way for a box to fail: a failed episode's reward is None, and a bug is raised by `get_reward`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym

from agentgym_si.errors import BadInput
from agentgym_si.training.tool_methods import call_method, text_method

OVER = "The episode is over; nothing was done."
"""What a call is answered after the end."""

_PROBED, _QUIET = 200, 40
"""Episodes whose tools are read, where they differ; and how many in a row may show no new one."""


class Environment(Protocol):
    """What TRL asks of an instance, beside the tools."""

    def reset(self, **row: Any) -> str:
        """Begin the row's episode; return what is added to the prompt."""

    def get_reward(self) -> float | None:
        """Return the episode's return, None where its box failed."""


def task_rows(tasks: Sequence[str], seeds: Iterable[int], prompt: str = "") -> list[dict[str, Any]]:
    """Return rows of a training dataset: each task with each seed, the first message `prompt`."""
    message = {"role": "user", "content": prompt}
    return [{"prompt": [message], "task": task, "seed": s} for s in seeds for task in tasks]


def environment_factory(
    env: str | Callable[[], gym.Env[str, str]], **options: Any
) -> Callable[[], Environment]:
    """Return a class for TRL's `environment_factory`, an instance of which is one environment.

    Rows need a column `seed` (all of a group are then in the same world), and may have `task`.

    Args:
        env: an id for `gym.make`, or a function that makes one.
        options: keyword arguments of the environment.

    Raises:
        BadInput: by `reset`, for a row without seed, and for a task with tools that the environment
            did not show when the class was made; name its tasks by `task=` then.
    """

    def make() -> gym.Env[str, str]:
        return env() if callable(env) else gym.make(env, disable_env_checker=True, **options)

    probe = make()
    tools = _tools_of(probe)
    instructions = str(getattr(probe.unwrapped, "instructions", ""))
    probe.close()
    methods = {tool["name"]: call_method(tool) for tool in tools}
    if tools:
        methods.setdefault("say", text_method("say", "Say something to the user.", "what to say"))
    else:
        summary = " ".join(instructions.split()) or "Act in the environment."
        methods["act"] = text_method("act", summary, "what to do, as the instructions say")
    told = "" if tools else instructions

    def begin(self: _Played) -> None:
        _Played.__init__(self, make(), told)

    return type("AgentGymEnvironment", (_Played,), {"__init__": begin, **methods})


class _Played:
    """One environment and the episode that runs in it."""

    def __init__(self, env: gym.Env[str, str], told: str) -> None:
        self._env, self._told = env, told
        self._return = 0.0
        self._over = True
        self._failed = False
        self._bug: Exception | None = None

    def reset(self, **row: Any) -> str:
        if "seed" not in row:
            raise BadInput(
                "expected rows with a column `seed`, so that all of a group are in the same world; "
                "`task_rows` makes such rows"
            )
        self._return, self._over, self._failed, self._bug = 0.0, False, False, None
        options = {"task": row["task"]} if row.get("task") else None
        observation, info = self._env.reset(seed=int(row["seed"]), options=options)
        self._note(info)
        known = {name for name, _ in inspect.getmembers(type(self), inspect.isfunction)}
        tools = getattr(self._env.unwrapped, "tools", ())
        if unknown := sorted({tool["name"] for tool in tools} - known):
            raise BadInput(f"task {info.get('task')} has a tool that was not there: {unknown[0]}")
        return f"{self._told}\n\n{observation}" if self._told else observation

    def get_reward(self) -> float | None:
        if self._bug is not None:
            raise self._bug
        return None if self._failed else self._return

    def _step(self, action: str) -> str:
        if self._over:
            return OVER
        try:
            observation, reward, terminated, truncated, info = self._env.step(action)
        except Exception as error:  # TRL would tell the model and go on: get_reward raises it
            self._bug, self._over = error, True
            raise
        self._return += float(reward)
        self._over = terminated or truncated
        self._note(info)
        return observation

    def _note(self, info: Mapping[str, Any]) -> None:
        if "failure" in info:
            self._failed = self._over = True


def _tools_of(env: gym.Env[str, str]) -> list[Mapping[str, Any]]:
    """Return the tools of the environment, one of each name: of many tasks, where they differ."""
    unwrapped: Any = env.unwrapped
    found = {tool["name"]: tool for tool in getattr(unwrapped, "tools", ())}
    tasks = list(getattr(unwrapped, "task_ids", ()))
    newest = 0
    for seed in range(_PROBED if tasks and not found else 0):
        env.reset(seed=seed, options={"task": tasks[seed % len(tasks)]})
        for tool in getattr(unwrapped, "tools", ()):
            if tool["name"] not in found:
                found[tool["name"]], newest = tool, seed
        if not found or seed - newest > _QUIET:
            break
    return list(found.values())
