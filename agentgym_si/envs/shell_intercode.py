"""The InterCode suite of `Shell-v0`: NL2Bash commands in a box whose "/" can be written.

    "InterCode: Standardizing and Benchmarking Interactive Coding with Execution Feedback"
    (Yang et al., 2023)

A command is passed on as the official environment passes it, losses in its quoting included. Its
reward (`info["official_reward"]`) compares the files that changed and the last command's output
with those of the gold command, run in a second box; `ls /` earns 0.62 of it on average. So the
episode's own reward is 1 where that is at least 0.99, else 0.
"""

from __future__ import annotations

import json
import shlex
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_si.envs.shell_files import Node, Unreadable, final_tree, kill_all, lay_out
from agentgym_si.envs.shell_root import RootLauncher
from agentgym_si.envs.shell_running import Output, checked_command, run_program
from agentgym_si.envs.shell_status import IGNORED, compare, tracked
from agentgym_si.errors import ActionError, BadInput
from agentgym_si.sandboxes.base import Limits, Sandbox
from agentgym_si.sandboxes.box import Box
from agentgym_si.sandboxes.opening import SandboxSource, open_sandbox
from agentgym_si.types import Task

SOLVED = 0.99
FILE_SYSTEMS = ("1", "3")
SHELL = "/bin/bash"
ENVIRONMENT = (
    "HOME=/root",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
NO_FOLDER = (
    "OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd "
    '("%s") set in config.json failed: no such file or directory: unknown\\r\\n'
)
# Through a pipe, so that it ends when all that may print has ended, as the official one does.
RUNNER = (
    f'set -o pipefail; cd -- "$1" 2> /dev/null || {{ printf \'{NO_FOLDER}\' "$1"; exit 126; }}; '
    f'shift; env -i {" ".join(ENVIRONMENT)} "$@" 2>&1 | cat'
)
DAY = 86_400
SKIPPED = (*IGNORED, ".git", "lib32", "lib64", "libx32")
"""Folders of "/" that are not compared."""

_FOLDERS = "boot home media opt root run srv sys var/log .git"
_FILES = {"1": "index.html setup_nl2b_fs_1.sh", "3": "setup_nl2b_fs_3.sh backup/file.txt"}


def intercode_source(limits: Limits) -> Callable[[], Sandbox]:
    """Return what makes a box with a writable "/": bubblewrap, the one tier that has it."""
    return lambda: Box(RootLauncher(), limits)


def read_tasks(data: Path) -> list[Task]:
    """Return the tasks of a folder with `nl2bash_fs_N.json` and `fs_N.tar.gz`; raises BadInput."""
    tasks: list[Task] = []
    for number in FILE_SYSTEMS:
        path = data / f"nl2bash_fs_{number}.json"
        try:
            rows = json.loads(path.read_bytes())
            tasks += [
                Task(
                    f"fs{number}-{index}",
                    goal=row["query"],
                    data={"file_system": number},
                    split="test",
                    solution=(row["gold"], "submit()"),
                )
                for index, row in enumerate(rows)
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"expected InterCode's tasks in {path}: {error}") from error
    return tasks


def read_files(data: Path, number: str) -> dict[str, Node]:
    """Return a file system as it is before an episode; raises BadInput.

    Empty folders are not in it: the official reset (`git clean`) removes them.
    """
    path = data / f"fs_{number}.tar.gz"
    tree: dict[str, Node] = {}
    try:
        with tarfile.open(path) as archive:
            members = [member for member in archive if member.isfile() or member.issym()]
            newest = max(member.mtime for member in members)
            for member in members:
                file = archive.extractfile(member) if member.isfile() else None
                data_bytes = member.linkname.encode() if file is None else file.read()
                built = member.mtime > newest - DAY  # when the image was: as good as now
                tree[member.name] = Node(
                    "link" if file is None else "file",
                    data_bytes,
                    member.mode,
                    None if built else int(member.mtime),
                )
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BadInput(f"expected InterCode's files in {path}: {error}") from error
    folders = {parent for path in tree for parent in map(str, Path(path).parents)} - {"."}
    folders |= set(_FOLDERS.split())
    tree |= {folder: Node("folder", modified=None) for folder in folders}
    tree["var/log/apt"] = Node("folder")  # an old one
    tree |= {
        name: Node(modified=None) for name in f".dockerenv .gitignore {_FILES[number]}".split()
    }
    return tree


class InterCode:
    """The suite: two new boxes an episode, one for the agent and one for the gold command.

    Args:
        data: the folder with the benchmark's files.
        source: makes the boxes; their "/" has to be writable.
        seconds: deadline of a command.
    """

    def __init__(self, data: Path, source: SandboxSource, seconds: float) -> None:
        self._files = {number: read_files(data, number) for number in FILE_SYSTEMS}
        self._source = source
        self._seconds = seconds
        self._task = Task("")
        self._sandbox: Sandbox | None = None
        self._folder = "/"
        self._last = ""
        self._gold: dict[str, tuple[dict[str, Node], str]] = {}

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Lay the file system out in a new box; return the query."""
        self.close()
        self._task, self._folder, self._last = task, "/", ""
        self._sandbox = self._new_box()
        return task.goal

    def run(self, command: str) -> Output:
        """Run a command line as the official environment does; raises ActionError, SandboxError."""
        assert self._sandbox is not None
        command = checked_command(command).strip()
        folder, moved = self._folder, None
        if command.startswith("cd"):
            if "cd " not in command:
                raise ActionError("expected a folder after cd")
            moved = _simplified(self._folder, command[command.index("cd ") + 3 :].strip())
            folder, command = "/", f"cd {moved}"
        output = self._run_in(self._sandbox, command, folder)
        if moved is not None and output.exit_code == 0:
            self._folder = moved
        self._last = output.text
        return output

    def judge(self, answer: str) -> tuple[float, Mapping[str, Any]]:
        """Compare with the gold command's files and output; `answer` is not part of it."""
        assert self._sandbox is not None
        before = self._files[self._task.data["file_system"]]
        gold_tree, gold_output = self._gold_result()
        try:
            found = tracked(final_tree(self._sandbox, "/", SKIPPED))
        except Unreadable as reason:
            return 0.0, {"success": False, "official_reward": 0.0, "wrong": str(reason)}
        told = compare(tracked(before), found, gold_tree, self._last, gold_output)
        success = told["official_reward"] >= SOLVED
        return float(success), {"success": success, **told}

    def solution(self) -> Sequence[str]:
        """Return the gold command and its submission."""
        return self._task.solution

    def candidates(self) -> Sequence[str]:
        """Return looks around, and the gold command."""
        return ["ls /", "pwd", "submit()", *self._task.solution[:1]]

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return plays that must earn nothing: a file too many, whatever the gold command does."""
        extra = "touch /zz_extra"
        return (("ls /", extra, "submit()"), (self._task.solution[0], extra, "submit()"))

    def close(self) -> None:
        """Close the agent's box."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()

    # Inside ---------------------------------------------------------------------------------

    def _new_box(self) -> Sandbox:
        sandbox = open_sandbox(self._source)
        try:
            lay_out(sandbox, self._files[self._task.data["file_system"]], "/")
            kill_all(sandbox)  # the live interpreter: the next one has seen nothing of the agent's
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    def _gold_result(self) -> tuple[dict[str, Node], str]:
        """Return the files and the output after the gold command; run once for each task."""
        if self._task.id not in self._gold:
            with self._new_box() as sandbox:
                output = self._run_in(sandbox, self._task.solution[0], "/").text
                self._gold[self._task.id] = tracked(final_tree(sandbox, "/", SKIPPED)), output
        return self._gold[self._task.id]

    def _run_in(self, sandbox: Sandbox, command: str, folder: str) -> Output:
        try:
            argv = shlex.split(f'{SHELL} -c "{command.strip()}"')
        except ValueError:
            return Output("Malformed command", 1)
        output = run_program(sandbox, ["bash", "-c", RUNNER, "bash", folder, *argv], self._seconds)
        return output if output.exit_code is not None else Output("Command timed out", None)


def _simplified(folder: str, path: str) -> str:
    """Return `path` from `folder`, without "." and ".."."""
    parts: list[str] = []
    for part in ("" if path.startswith("/") else folder).split("/") + path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
