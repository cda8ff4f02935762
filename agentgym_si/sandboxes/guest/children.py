"""The processes of a box: started under all its limits, found, and killed without a fork."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import NoReturn

from agentgym_si.sandboxes.guest import confine
from agentgym_si.sandboxes.guest.frames import decode_header, encode, lengths
from agentgym_si.sandboxes.guest.interpreter import Interpreter

CONTROL = 3
"""The descriptor an interpreter answers on."""
KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """What the host tells the guest at its start."""

    tier: str
    processes: int
    memory_mib: int
    output_bytes: int
    disk_mib: int
    network: bool
    work: str
    """The folder that snippets and programs run in."""
    temporary: list[str]
    """Other folders that can be written, emptied between episodes."""
    readable: list[str]
    """What Landlock lets them read beside those (its tier only)."""
    namespaced: bool
    """Whether the box has its own process ids, the guest being the first."""
    limit_memory: bool
    """Whether memory has to be limited process by process, for want of a cgroup."""
    limit_processes: bool
    """Whether processes have to be limited by the user's count, for want of a cgroup."""


@dataclass
class Live:
    """An interpreter and the streams that lead to it."""

    pid: int
    control: socket.socket
    output: tuple[int, int]


class Children:
    """Everything in the box but the agent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._live: Live | None = None
        self._saved: dict[int, Live] = {}
        self._count = 0
        self._seed = 0
        self._statuses: dict[int, int] = {}
        self._known: set[int] = set()
        self.wakeup, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Readable when a child has ended."""
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._ruleset = -1
        if settings.tier == "landlock":
            self._ruleset = confine.landlock_ruleset(
                settings.readable,
                [settings.work, *settings.temporary, "/dev/null", "/dev/zero", "/dev/urandom"],
                network=settings.network,
            )

    # Interpreters ---------------------------------------------------------------------------

    def interpreter_died(self) -> bool:
        """Say whether the live interpreter has died since it was last asked."""
        self.reap()
        return self._live is not None and not self.alive(self._live.pid)

    def interpreter(self) -> Live:
        """Return the live interpreter; a new one where there is none."""
        if self._live is None or self.interpreter_died():
            self.forget_interpreter()
            self._live = self._fork_interpreter(self._seed)
        return self._live

    def new_interpreter(self, seed: int, saved: int | None, deadline: float) -> None:
        """Fork the episode's interpreter, from a saved one where its number is given."""
        self._seed = seed
        if saved is None:
            self._live = self._fork_interpreter(seed)
        else:
            self._live = self._fork_copy(self._saved[saved], deadline)

    def save_interpreter(self, deadline: float) -> int:
        """Fork a copy of the live interpreter that waits; return its number."""
        self._count += 1
        self._saved[self._count] = self._fork_copy(self.interpreter(), deadline)
        return self._count

    def has_saved(self, number: int) -> bool:
        """Say whether a saved interpreter is still there."""
        self.reap()
        return number in self._saved and self.alive(self._saved[number].pid)

    def saved_pids(self) -> set[int]:
        """Return the saved interpreters' process ids."""
        return {saved.pid for saved in self._saved.values()}

    def interpreter_pids(self) -> set[int]:
        """Return the process ids of the live interpreter and the saved ones."""
        return self.saved_pids() | ({self._live.pid} if self._live is not None else set())

    def forget_interpreter(self) -> int:
        """Let go of the live interpreter, which is dead; return its exit code."""
        if self._live is None:
            return 0
        live, self._live = self._live, None
        self._close(live)
        return self.take_status(live.pid)

    def forget_saved(self) -> None:
        """Let go of the saved interpreters, which are dead."""
        while self._saved:
            live = self._saved.popitem()[1]
            self._close(live)
            self.take_status(live.pid)

    def _close(self, live: Live) -> None:
        live.control.close()
        others = [*self._saved.values(), *([self._live] if self._live is not None else [])]
        if all(other.output != live.output for other in others):  # copies share their pipes
            for descriptor in live.output:
                os.close(descriptor)

    def _fork_interpreter(self, seed: int) -> Live:
        ours, theirs = socket.socketpair()
        with theirs:
            pid, output = self._fork(
                lambda: _become_interpreter(self._settings.work, seed), theirs.fileno(), None
            )
        return Live(pid, ours, output)

    def _fork_copy(self, original: Live, deadline: float) -> Live:
        ours, theirs = socket.socketpair()
        with theirs:
            original.control.sendall(encode({"op": "fork"}))
            socket.send_fds(original.control, [b"x"], [theirs.fileno()])
        ours.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            head = _receive(ours, 8)
            pid = int(decode_header(_receive(ours, lengths(head, 0)[0]))["pid"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            ours.close()
            raise RuntimeError(f"the interpreter made no copy of itself: {error}") from error
        ours.settimeout(None)
        self._known.add(pid)
        return Live(pid, ours, original.output)

    # Programs -------------------------------------------------------------------------------

    def start_program(self, argv: list[str], stdin: bytes) -> tuple[int, tuple[int, int]]:
        """Start a program; return its process id and its two output pipes."""
        descriptor = os.memfd_create("stdin") if stdin else None
        if descriptor is not None:
            view = memoryview(stdin)
            while view:
                view = view[os.write(descriptor, view) :]
            os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            return self._fork(lambda: _become_program(argv), None, descriptor)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _fork(
        self, become: Callable[[], NoReturn], control: int | None, stdin: int | None
    ) -> tuple[int, tuple[int, int]]:
        """Fork a confined child that runs `become`; return its process id and output pipes."""
        out, out_child = os.pipe2(os.O_CLOEXEC)
        err, err_child = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:
            for descriptor in (out, err, out_child, err_child):
                os.close(descriptor)
            raise
        if pid == 0:
            self._child(become, (stdin, out_child, err_child), control)
        self._known.add(pid)
        for descriptor in (out_child, err_child):
            os.close(descriptor)
        for descriptor in (out, err):
            os.set_blocking(descriptor, False)
        return pid, (out, err)

    def _child(
        self,
        become: Callable[[], NoReturn],
        streams: tuple[int | None, int, int],
        control: int | None,
    ) -> NoReturn:
        """Confine this process, which was just forked, and let it become what it is to be."""
        try:
            self._prepare_child(streams, control)
            become()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        finally:
            os._exit(127 if control is None else 126)

    def _prepare_child(self, streams: tuple[int | None, int, int], control: int | None) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        stdin = os.open("/dev/null", os.O_RDONLY) if streams[0] is None else streams[0]
        wanted = [stdin, streams[1], streams[2], *([] if control is None else [control])]
        safe = [os.dup2(descriptor, 100 + at) for at, descriptor in enumerate(wanted)]
        for at, descriptor in enumerate(safe):
            os.dup2(descriptor, at, inheritable=at < CONTROL)
        if self._ruleset >= 0:
            confine.enter_landlock(self._ruleset)
        os.closerange(len(wanted), 4096)
        settings = self._settings
        confine.prctl(confine.PR_SET_DUMPABLE, 1)
        if settings.namespaced:  # else /proc is not there, or not ours to write
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")  # out of memory, the episode goes, not the agent
        confine.limit_resources(
            memory_mib=settings.memory_mib if settings.limit_memory else None,
            processes=settings.processes if settings.limit_processes else None,
            disk_mib=settings.disk_mib,
        )
        os.chdir(settings.work)

    # Finding and killing --------------------------------------------------------------------

    def reap(self) -> None:
        """Take the exit status of every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._known:
                self._statuses[pid] = os.waitstatus_to_exitcode(status)

    def alive(self, pid: int) -> bool:
        """Say whether a child we started has not been reaped yet."""
        return pid in self._known and pid not in self._statuses

    def take_status(self, pid: int) -> int:
        """Return a dead child's exit code and forget it."""
        self._known.discard(pid)
        return self._statuses.pop(pid, -int(signal.SIGKILL))

    def kill_one(self, pid: int) -> None:
        """Kill one child and wait for it."""
        deadline = time.monotonic() + KILL_SECONDS
        if self.alive(pid):
            os.kill(pid, signal.SIGKILL)
        while self.alive(pid) and time.monotonic() < deadline:
            time.sleep(0.001)
            self.reap()

    def kill_others(self, keep: Set[int]) -> tuple[int, int]:
        """Kill all in the box but `keep`; return how many were found first and how many are left.

        Stopped before they are killed, so that none of them can fork away from it.
        """
        self.reap()
        first = self._others(keep)
        if self._settings.namespaced and not keep:
            if first:
                os.kill(-1, signal.SIGKILL)
        else:
            stopped: set[int] = set()
            while new := self._others(keep) - stopped:
                _signal_all(new, signal.SIGSTOP)
                stopped |= new
            _signal_all(stopped, signal.SIGKILL)
        deadline = time.monotonic() + KILL_SECONDS
        while left := self._others(keep):
            if time.monotonic() > deadline:
                break
            if self._settings.namespaced and not keep:
                os.kill(-1, signal.SIGKILL)
            else:
                _signal_all(left, signal.SIGKILL)
            self.reap()
            time.sleep(0.0002)
        return len(first), len(left)

    def _others(self, keep: Set[int]) -> set[int]:
        """Return the process ids in the box but the agent's and `keep`.

        A dead process whose parent has not waited for it counts only where we are that parent.
        """
        me = os.getpid()
        parents: dict[int, int] = {}
        for name in os.listdir("/proc"):
            if name.isdecimal():
                try:
                    with open(f"/proc/{name}/stat", "rb") as file:
                        state, parent = file.read().rpartition(b")")[2].split()[:2]
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if state not in (b"Z", b"X") or int(parent) == me:
                    parents[int(name)] = int(parent)
        found = set(parents) if self._settings.namespaced else _descendants(me, parents)
        return found - {me} - set(keep)


def _descendants(root: int, parents: Mapping[int, int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


def _signal_all(pids: Set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _become_interpreter(work: str, seed: int) -> NoReturn:
    sys.argv = [""]
    sys.path.insert(0, work)
    random.seed(seed)
    # The streams of the zygote belong to the host's protocol: new ones over the child's own.
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(  # noqa: SIM115  (it stays open)
            descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    Interpreter(socket.socket(fileno=CONTROL), seed).serve()
    os._exit(0)


def _become_program(argv: list[str]) -> NoReturn:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode(errors="replace"))
        os._exit(127)


def _receive(connection: socket.socket, count: int) -> bytes:
    pieces = b""
    while len(pieces) < count:
        piece = connection.recv(count - len(pieces))
        if not piece:
            raise ValueError("it hung up")
        pieces += piece
    return pieces
