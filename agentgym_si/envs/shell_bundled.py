"""The bundled suite of `Shell-v0`: drawn problems in one box, judged by the files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agentgym_si.envs.shell_cheats import cheats_of
from agentgym_si.envs.shell_files import Unreadable, final_tree, lay_out
from agentgym_si.envs.shell_problems import Problem, what_is_wrong
from agentgym_si.envs.shell_running import Output, run_command
from agentgym_si.envs.shell_tasks import FAMILIES, SPLITS, draw_problem
from agentgym_si.sandboxes.base import Sandbox
from agentgym_si.types import Task

WORK = "/work"
"""What the agent is told the work folder is, wherever it is."""


class Bundled:
    """The suite over one box.

    Args:
        sandbox: the box.
        seconds: deadline of a command.
    """

    def __init__(self, sandbox: Sandbox, seconds: float) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._problem = Problem("", {}, {}, ())
        self._folder = WORK

    @staticmethod
    def tasks() -> list[Task]:
        """Return a task for each family and split."""
        return [
            Task(f"{family}-{split}", data={"family": family}, split=split)
            for split in SPLITS
            for family in FAMILIES
        ]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Draw a problem and lay its files out; return the first observation."""
        self._problem = draw_problem(task.data["family"], task.split, rng)
        self._sandbox.reset()
        self._folder = lay_out(self._sandbox, self._problem.before)
        shown = [
            f"{path}/" if node.kind == "folder" else path
            for path, node in self._problem.before.items()
            if "/" not in path
        ]
        return f"{self._problem.goal}\nFiles here: {' '.join(shown)}"

    def run(self, command: str) -> Output:
        """Run a command line; raises ActionError and SandboxError."""
        output = run_command(self._sandbox, command, self._seconds)
        if self._folder == WORK:
            return output
        # Without a mount namespace the folder's name is drawn anew for each box.
        text = output.text.replace(self._folder, WORK)
        return Output(text, output.exit_code, output.cut, output.seconds)

    def judge(self, answer: str) -> tuple[float, Mapping[str, Any]]:
        """Kill all, read the files and compare; return reward and what `info` is told."""
        try:
            wrong = what_is_wrong(self._problem, final_tree(self._sandbox), answer)
        except Unreadable as reason:
            wrong = str(reason)
        return (0.0 if wrong else 1.0), {"success": not wrong, "wrong": wrong}

    def solution(self) -> Sequence[str]:
        """Return the commands that solve the running episode, and the answer's submission."""
        return [*self._problem.commands, f"submit({self._problem.answer})"]

    def candidates(self) -> Sequence[str]:
        """Return commands made of the problem's names."""
        names = list(self._problem.names)
        commands = {f"{verb} {name}" for verb in ("touch", "mkdir", "rm", "cat") for name in names}
        commands |= {
            f"{verb} {one} {other}"
            for verb in ("mv", "cp")
            for one in names
            for other in names
            if one != other
        }
        commands |= {"ls", "pwd", *self._problem.commands}
        files = sum(node.kind == "file" for node in self._problem.before.values())
        answers = {"submit()", f"submit({files})", f"submit({self._problem.answer})"}
        return [*sorted(commands), *sorted(answers)]

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return plays that must earn nothing."""
        return cheats_of(self._problem)

    def close(self) -> None:
        """Close the box."""
        self._sandbox.close()
