"""`FakeSandbox`: a sandbox that plays scripted results, for the tests of what uses one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Self

from agentgym_si.errors import SandboxError, SandboxFileError
from agentgym_si.sandboxes.base import ExecResult, OnCall, Snapshot

Script = Callable[[str | Sequence[str]], ExecResult] | Iterable[ExecResult | SandboxError]
"""What `exec` answers: a function of the command, or results in their order; an error is raised."""


class FakeSandbox:
    """Runs nothing: keeps what it is given and answers from a script.

    Args:
        script: see `Script`; where its results are used up, `exec` raises SandboxError.
    """

    tier: ClassVar[str] = "fake"

    def __init__(self, script: Script) -> None:
        self.commands: list[str | Sequence[str]] = []
        """Every command so far."""
        self.files: dict[str, bytes] = {}
        """The work folder."""
        self.resets = 0
        """How often it was reset without a snapshot."""
        self.closed = False
        self._script = script if callable(script) else iter(script)
        self._saved: list[dict[str, bytes]] = []

    def start(self) -> None:
        """Start nothing."""

    def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes = b"",
        seconds: float | None = None,
        on_call: OnCall | None = None,
    ) -> ExecResult:
        """Return what the script says comes next."""
        self.commands.append(command)
        if callable(self._script):
            return self._script(command)
        answer = next(self._script, SandboxError("the script's results are used up"))
        if isinstance(answer, SandboxError):
            raise answer
        return answer

    def read(self, path: str) -> bytes:
        """Return a file that was written."""
        if path not in self.files:
            raise SandboxFileError(f"{path}: No such file or directory")
        return self.files[path]

    def write(self, path: str, data: bytes) -> None:
        """Keep a file."""
        self.files[path] = bytes(data)

    def snapshot(self) -> Snapshot:
        """Return the files as they are."""
        self._saved.append(dict(self.files))
        return Snapshot("fake", len(self._saved) - 1, b"")

    def reset(self, snapshot: Snapshot | None = None, *, seed: int = 0) -> None:
        """Forget all files, or go back to a snapshot's."""
        if snapshot is None:
            self.resets += 1
            self.files, self._saved = {}, []
        elif snapshot.interpreter < len(self._saved):
            self.files = dict(self._saved[snapshot.interpreter])
        else:
            raise SandboxError("the snapshot is gone")

    def close(self) -> None:
        """Say that it is closed."""
        self.closed = True

    def __enter__(self) -> Self:
        """Return the sandbox."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
