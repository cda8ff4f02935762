"""`agentgym_si/Shell-v0`: bash in a sandbox, judged by what is on its disk in the end.

The reward is the host's comparison of the files, read when every process of the agent is dead, and
of the answer that was submitted; nothing that a program prints or exits with is part of it.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.envs.shell_bundled import Bundled
from agentgym_si.envs.shell_intercode import InterCode, intercode_source, read_tasks
from agentgym_si.envs.shell_running import Output
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.sandboxes.base import Limits, Reuse
from agentgym_si.sandboxes.opening import SandboxSource, open_sandbox
from agentgym_si.types import Task

SUITES = ("bundled", "intercode")

_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_SUBMIT = re.compile(r"submit\((.*)\)", re.DOTALL)


class Suite(Protocol):
    """A family of tasks and the boxes they are played in."""

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Begin an episode and return the first observation; raises SandboxError."""
        ...

    def run(self, command: str) -> Output:
        """Run a command line; raises ActionError and SandboxError."""
        ...

    def judge(self, answer: str) -> tuple[float, Mapping[str, Any]]:
        """End the episode; return the reward and what `info` is told. Raises SandboxError."""
        ...

    def solution(self) -> Sequence[str]:
        """Return the actions that solve the running episode."""
        ...

    def candidates(self) -> Sequence[str]:
        """See `TextEnv.candidates`."""
        ...

    def cheats(self) -> Sequence[Sequence[str]]:
        """See `TextEnv.cheats`."""
        ...

    def close(self) -> None:
        """Close the boxes; safe to call again."""
        ...


class ShellEnv(TextEnv):
    """A goal, some files, and a shell.

    An action is a command line: the last fenced block, else the whole text. Folder, variables and
    functions are kept from one to the next. `submit()` or `submit(answer)` ends the episode; the
    reward is 1 where the files, and the answer where one is asked for, are as the goal says.

    What programs find out from the clock, process ids or /dev/urandom is not a function of the
    seed. A background process goes on until the episode is judged; what it prints is lost.

    Args:
        task: see `TextEnv`.
        split: "train" or "test" of the bundled suite; InterCode has only "test".
        max_steps: see `TextEnv`.
        render_mode: see `TextEnv`.
        suite: "bundled", or "intercode" (NL2Bash; see `shell_intercode`).
        data: the folder with InterCode's files.
        sandbox: see `open_sandbox`; for InterCode None is a bubblewrap box with a writable "/".
        reuse: see `sandboxes.base.Reuse`; InterCode takes new boxes always.
        limits: what a box may use; `limits.seconds` is a command's deadline.
        image: the Docker tier's image.
    """

    instructions = (
        "You work in a Linux shell (bash). Each answer is a command line, alone or in a ``` block; "
        "you are shown what it prints. Folder and variables are kept from one to the next. Leave "
        "all other files as they are, and make no further ones. When the work is done, answer "
        "submit() to end; where a question is asked, submit(answer)."
    )
    noop = "true"
    default_max_steps: ClassVar[int] = 10
    waits: ClassVar[bool] = True
    examples: ClassVar[Sequence[str]] = ("true", "ls", "pwd", "cat *", "submit()")

    def __init__(
        self,
        task: str | None = None,
        *,
        split: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        suite: str = "bundled",
        data: str | Path | None = None,
        sandbox: SandboxSource | None = None,
        reuse: Reuse = "reset",
        limits: Limits | None = None,
        image: str | None = None,
    ) -> None:
        """Choose the tasks; the box starts with the first reset."""
        if suite not in SUITES:
            raise UnknownName("suite", suite, SUITES, where=type(self).__name__)
        if (data is not None) != (suite == "intercode"):
            raise BadInput(f"expected data=, a folder, for the suite intercode only, got {data!r}")
        self._data = None if data is None else Path(data)
        super().__init__(task, split=split, max_steps=max_steps, render_mode=render_mode)
        self._source: SandboxSource | None = sandbox
        self._reuse: Reuse = reuse
        self._limits = limits or Limits()
        self._image = image
        self._suite: Suite | None = None
        self._discard: weakref.finalize[[], ShellEnv] | None = None
        self._told: Mapping[str, Any] = {}

    def tasks(self) -> Sequence[Task]:
        """Return the suite's tasks."""
        return Bundled.tasks() if self._data is None else read_tasks(self._data)

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Lay the files out in an empty box."""
        self._told = {}
        return self._opened().start(task, rng)

    def act(self, action: str) -> Step:
        """Run the command line, or judge what was submitted."""
        blocks = _FENCED.findall(action)
        command = (blocks[-1] if blocks else action).strip()
        submitted = _SUBMIT.fullmatch(command)
        self._told = {}
        if submitted:
            reward, self._told = self._opened().judge(_unquoted(submitted[1].strip()))
            return "submitted", reward, True
        output = self._opened().run(command)
        self._told = {"exit_code": output.exit_code}
        return output.shown(), 0.0, False

    def step_info(self) -> Mapping[str, Any]:
        """Return the command's exit code, or the verdict on what was submitted."""
        return self._told

    def oracle(self) -> str:
        """Return the next action of the solution; knows no way back from any other action."""
        solution = self._opened().solution()
        done = len(self._actions)
        if done >= len(solution) or list(solution[:done]) != self._actions:
            raise NotImplementedError("the oracle knows only its own way")
        return solution[done]

    def candidates(self) -> Sequence[str]:
        """Return command lines made of the names at hand, and submissions."""
        return self._opened().candidates()

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return attempts on the judge, on the box, and at being done without the work."""
        return self._opened().cheats()

    def close(self) -> None:
        """Close the box; a later reset opens another."""
        self._suite = None
        if self._discard is not None:
            self._discard()  # once, however often it is called

    def _opened(self) -> Suite:
        if self._suite is None:
            self._suite = self._open()
            self._discard = weakref.finalize(self, self._suite.close)
        return self._suite

    def _open(self) -> Suite:
        if self._data is not None:
            source = self._source or intercode_source(self._limits)
            return InterCode(self._data, source, self._limits.seconds)
        sandbox = open_sandbox(
            self._source or "auto", self._limits, reuse=self._reuse, image=self._image
        )
        return Bundled(sandbox, self._limits.seconds)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text
