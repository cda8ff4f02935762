"""The contract of a sandbox: where untrusted code runs, dies when told and reaches nothing.

`box.Box` is the one implementation for real (a guest program under Docker, bubblewrap or
Landlock); `fake.FakeSandbox` plays back scripted results in tests; `testing.check_sandbox` is the
suite that any other implementation has to pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from agentgym_si.errors import BadInput

Reuse = Literal["reset", "fresh"]
"""How `reset` makes a clean box: "reset" empties the running one, "fresh" takes a new one."""

OnCall = Callable[[bytes], bytes]
"""Answers what a program asks the host for while it runs (`agentgym_host.call` in the box)."""

MAX_MESSAGE_BYTES = 64 << 20
"""Bytes that a snippet, a program's input or a file may have on their way in or out."""


@dataclass(frozen=True)
class Limits:
    """What a box may use; all enforced inside or around it, whatever the host process does."""

    seconds: float = 10.0
    """Wall-clock seconds of one `exec`, where the call names none."""
    memory_mib: int = 256
    """Memory in MiB: of the whole box in Docker, of each process in the tiers without cgroups."""
    processes: int = 64
    """Processes and threads alive at once."""
    output_bytes: int = 1 << 20
    """Bytes of stdout, and of stderr, that one `exec` keeps; the rest is dropped and `cut` set."""
    disk_mib: int = 64
    """MiB of each writable folder; in the Landlock tier of each file (see `processes`)."""
    cpus: float = 1.0
    """Processors, in Docker; the other tiers do not limit them."""
    network: bool = False
    """Whether the box may open network connections."""

    def __post_init__(self) -> None:
        """Raise BadInput where a limit is not above 0."""
        for name in ("seconds", "memory_mib", "processes", "output_bytes", "disk_mib", "cpus"):
            value = getattr(self, name)
            if not value > 0 or value == float("inf"):
                raise BadInput(f"expected Limits.{name} above 0 and finite, got {value}")
        if self.memory_mib < 32 or self.processes < 4:
            raise BadInput(
                "expected Limits of at least 32 MiB and 4 processes (the guest itself takes some), "
                f"got memory_mib={self.memory_mib}, processes={self.processes}"
            )


@dataclass(frozen=True)
class ExecResult:
    """What one `exec` did. A program that failed is a result like any other."""

    exit_code: int | None
    """0 for success, 1 for an uncaught exception, n of `sys.exit(n)`, minus the signal's number
    where a signal killed it; None where the deadline did."""
    stdout: str
    """What was printed since the last `exec`, late output of its threads included; bytes that are
    no UTF-8 are written as backslash escapes."""
    stderr: str
    """Likewise; an uncaught exception's traceback is its end."""
    cut: bool = False
    """Whether output went beyond `Limits.output_bytes` and was dropped."""
    timed_out: bool = False
    """Whether the deadline ended it."""
    seconds: float = 0.0
    """Wall-clock seconds it took inside the box."""
    state_lost: bool = False
    """Whether the live interpreter died, in this `exec` or since the one before: the variables
    that it had are gone."""


@dataclass(frozen=True)
class Snapshot:
    """An episode's state: the files of the work folder and the live interpreter's memory.

    It can be gone back to until the episode ends, that is until a `reset` without a snapshot.
    Threads, child processes and open files are not part of it.
    """

    box: str
    """The box that holds the saved interpreter."""
    interpreter: int
    """Its number there."""
    files: bytes
    """The work folder as a tar archive."""


class Sandbox(Protocol):
    """One box, for one episode at a time, used from one thread at a time.

    No sandbox here protects against a fault of the kernel they all share (gVisor does, see
    `docker.DockerLauncher.runtime`), against what programs can learn from timing, or against a
    host that trusts what comes out of the box: a program may print, return and name whatever it
    likes, so its word is never a reward.
    """

    @property
    def tier(self) -> str:
        """What holds the program: "docker", "bubblewrap", "landlock", "bare" or "fake"."""
        ...

    def start(self) -> None:
        """Start the box, where none runs; `reset` and `exec` do it by themselves.

        Raises SandboxError where it cannot be started.
        """
        ...

    def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes = b"",
        seconds: float | None = None,
        on_call: OnCall | None = None,
    ) -> ExecResult:
        """Run a Python snippet in the episode's live interpreter, or a program.

        Both are of one user: what ran as a program may have changed the live interpreter.

        Args:
            command: Python source, which sees the variables of the snippets before it; or a
                program's name and arguments, run in the work folder. Never a shell string.
            stdin: what a program reads; a snippet's standard input is empty.
            seconds: deadline, kept inside the box; None for `Limits.seconds`. Beyond it, the
                program and every process it left are killed.
            on_call: answers `agentgym_host.call(data)` of the snippet, bytes to bytes; where it
                raises, so does `exec`, and the box is given up.

        Raises SandboxError where the box failed and BadInput where the command is beyond
        `MAX_MESSAGE_BYTES` or no text; a program's failure, whatever its form, is a result.
        """
        ...

    def read(self, path: str) -> bytes:
        """Return a plain file of the work folder.

        Raises SandboxFileError where it is missing, too large, no plain file, or where the path
        is absolute, holds ".." or passes through a symbolic link; SandboxError.
        """
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a plain file of the work folder, folders on the way included.

        Raises SandboxFileError as `read` does, and where the disk is full; SandboxError.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return the episode's present state.

        Raises SandboxFileError where the program has made files that cannot be read or claim more
        than `Limits.disk_mib`, MissingCapability where the tier has no snapshots, SandboxError.
        """
        ...

    def reset(self, snapshot: Snapshot | None = None, *, seed: int = 0) -> None:
        """Begin an episode in an empty box, or go back to a snapshot of the running one.

        Every process of the episode before is dead and every file gone when it returns; `seed`
        seeds the interpreter's `random`. Raises SandboxError, also for a snapshot that is gone.
        """
        ...

    def close(self) -> None:
        """End the box and everything in it; safe to call again, never raises."""
        ...

    def __enter__(self) -> Self:
        """Return the sandbox."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close it."""
        ...


class Channel(Protocol):
    """A running guest and the two byte streams that lead to it."""

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of `data`; raises SandboxError at `deadline` (of `time.monotonic`) or end."""
        ...

    def receive(self, count: int, deadline: float) -> bytes:
        """Return exactly `count` bytes; raises SandboxError at `deadline` or end of stream."""
        ...

    def close(self) -> None:
        """Kill the guest and all in its box, and wait until it is gone; never raises."""
        ...


class Launcher(Protocol):
    """Makes boxes of one tier."""

    @property
    def tier(self) -> str:
        """See `Sandbox.tier`."""
        ...

    def launch(self, limits: Limits) -> Channel:
        """Start a box with the guest in it; raises SandboxError."""
        ...

    def close(self) -> None:
        """Let go of what the launcher holds (idle boxes, connections); never raises."""
        ...


def guest_settings(limits: Limits, tier: str, **more: object) -> Mapping[str, object]:
    """Return what the guest is told at its start (see `guest.agent.Settings`)."""
    return {
        "tier": tier,
        "processes": limits.processes,
        "memory_mib": limits.memory_mib,
        "output_bytes": limits.output_bytes,
        "disk_mib": limits.disk_mib,
        "network": limits.network,
        **more,
    }
