"""Boxes without an engine: bubblewrap, else Landlock, and a bare process for who insists.

What each holds is in its class's docstring. All three add the guest's seccomp filter and resource
limits; none limits processors, and memory is limited for each process, not for the box.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agentgym_si.errors import BadInput, SandboxError
from agentgym_si.sandboxes.base import Channel, Limits, guest_settings
from agentgym_si.sandboxes.bundle import guest_command
from agentgym_si.sandboxes.guest.files import wipe
from agentgym_si.sandboxes.ownership import is_gone, owner

logger = logging.getLogger(__name__)

NOBODY = 65534
FIRST_USER = 0x60000000
"""The first of the users that Landlock boxes run as; no system gives its users such numbers."""
WORK = "/work"
ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}
"""All that a box sees of any environment."""

FOLDER_PREFIX = "agentgym-si-"
OWNER_FILE = "owner"

SYSTEM_FOLDERS = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives")
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/mime.types",
)
END_SECONDS = 5.0


class PipeChannel:
    """A guest that is a process of ours, spoken to over its standard streams.

    Args:
        command: argv of the guest or of what wraps it.
        environment: all of its environment.
        folder: a folder of the host's that goes when the guest does, or None.
        user: who it runs as where we are root; None for nobody.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        user: int | None = None,
    ) -> None:
        self._folder = folder
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
                bufsize=0,
                **_identity(user or NOBODY),  # type: ignore[call-overload]
            )
        except OSError as error:
            self._remove_folder()
            raise SandboxError(f"{command[0]} cannot be started: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)

    @property
    def pid(self) -> int:
        """The process id on the host."""
        return int(self._process.pid)

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of `data`; raises SandboxError at `deadline` or where the guest is gone."""
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [self._in], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SandboxError("the guest did not take its input in time")
            try:
                view = view[os.write(self._in, view[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise SandboxError(f"the guest is gone{self._last_words()}") from None

    def receive(self, count: int, deadline: float) -> bytes:
        """Return `count` bytes; raises SandboxError at `deadline` or where the guest is gone."""
        pieces = bytearray()
        while len(pieces) < count:
            ready, _, _ = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SandboxError("the guest did not answer in time")
            piece = os.read(self._out, min(count - len(pieces), 1 << 20))
            if not piece:
                raise SandboxError(f"the guest is gone{self._last_words()}")
            pieces += piece
        return bytes(pieces)

    def close(self) -> None:
        """Hang up, which ends the guest and its box; kill it where that takes too long."""
        process = self._process
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            # Bubblewrap's child, the guest, would outlive it: it is of another session.
            for pid in (*_children(process.pid), process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()
        assert process.stderr is not None
        process.stderr.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            _remove_folder(self._folder)
            self._folder = None

    def _last_words(self) -> str:
        """Return what the guest wrote of its end, for the error's message."""
        assert self._process.stderr is not None
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return ""
        os.set_blocking(self._process.stderr.fileno(), False)
        text = (self._process.stderr.read() or b"").decode(errors="replace").strip()
        code = self._process.returncode
        return f" (exit code {code})" + (f": {text[-800:]}" if text else "")


@dataclass(frozen=True)
class BubblewrapLauncher:
    """Boxes under bubblewrap: own process, network, user, mount and IPC namespaces, no engine.

    The box sees the system's /usr read only, a /proc of its own and two sized tmpfs folders. It
    does not protect against faults of the kernel, and does not limit processors or the memory of
    all processes together.
    """

    tier: ClassVar[str] = "bubblewrap"

    def launch(self, limits: Limits) -> Channel:
        """Start a box; raises SandboxError."""
        python, prefix = find_python()
        command = [find_bubblewrap(), "--unshare-all", *(["--share-net"] if limits.network else [])]
        command += ["--as-pid-1", "--new-session", "--cap-drop", "ALL"]
        for folder in dict.fromkeys([*SYSTEM_FOLDERS, *prefix]):
            command += _bind(folder)
        for file in (*SYSTEM_FILES, *(("/etc/resolv.conf",) if limits.network else ())):
            command += _bind(file)
        command += writable_folders(limits, WORK, "/tmp")
        command += ["--remount-ro", "/"]
        return bubblewrap_guest(command, python, limits, WORK, "/tmp")

    def close(self) -> None:
        """Do nothing: a launcher holds nothing."""


def find_bubblewrap() -> str:
    """Return the program's path; raises SandboxError where it is not installed."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError("bubblewrap is not installed: apt-get install bubblewrap")
    return program


def writable_folders(limits: Limits, work: str, temporary: str) -> list[str]:
    """Return bubblewrap's arguments for /proc, /dev and the sized folders of a box."""
    size = ["--size", str(limits.disk_mib << 20)]
    folders = [part for at in ("/dev/shm", work, temporary) for part in (*size, "--tmpfs", at)]
    return ["--proc", "/proc", "--dev", "/dev", *folders]


def bubblewrap_guest(
    command: Sequence[str], python: str, limits: Limits, work: str, temporary: str
) -> Channel:
    """Start the guest inside of bubblewrap's `command`; raises SandboxError."""
    settings = guest_settings(
        limits,
        BubblewrapLauncher.tier,
        work=work,
        temporary=[temporary, "/dev/shm"],
        readable=[],
        namespaced=True,
        limit_memory=True,
        limit_processes=True,
    )
    return PipeChannel([*command, "--", *guest_command(python, settings)], ENVIRONMENT)


@dataclass(frozen=True)
class LandlockLauncher:
    """Boxes of processes under Landlock and seccomp: works inside an ordinary container too.

    Programs read the system's /usr and write their own folder; no network, no signals to processes
    outside. They share process ids with the host, so how many processes there are can be told, and
    the disk is limited for each file, not in all. Snapshots are not offered.
    """

    confined: bool = True
    """False: without Landlock, no boundary at all (see `bare_launcher`)."""

    @property
    def tier(self) -> str:
        """See `Sandbox.tier`."""
        return "landlock" if self.confined else "bare"

    def launch(self, limits: Limits) -> Channel:
        """Start a box; raises SandboxError."""
        python, prefix = find_python()
        _sweep_once()
        # The kernel counts processes by user: one of its own for each box, where we may choose.
        user = FIRST_USER + secrets.randbelow(1 << 24)
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        (folder / OWNER_FILE).write_text(owner())
        for name in ("work", "tmp"):
            (folder / name).mkdir()
        if _is_root():
            os.chmod(folder, 0o711)
            for name in ("work", "tmp"):
                os.chown(folder / name, user, user)
        settings = guest_settings(
            limits,
            self.tier,
            work=str(folder / "work"),
            temporary=[str(folder / "tmp")],
            readable=[*SYSTEM_FOLDERS, *SYSTEM_FILES, *prefix],
            namespaced=False,
            limit_memory=True,
            limit_processes=_is_root(),  # else the count is that of all the user's processes
        )
        temporary = str(folder / "tmp")
        environment = {**ENVIRONMENT, "HOME": temporary, "TMPDIR": temporary}
        return PipeChannel(guest_command(python, settings), environment, folder, user)

    def close(self) -> None:
        """Do nothing: a launcher holds nothing."""


def bare_launcher(*, unsafe: bool = False) -> LandlockLauncher:
    """Return a launcher of processes that can read all that its user can: no sandbox at all.

    Raises BadInput without `unsafe=True`.
    """
    if not unsafe:
        raise BadInput(
            "expected unsafe=True beside sandbox='bare': programs could read all of this "
            "machine's files that its user can"
        )
    return LandlockLauncher(confined=False)


@functools.cache
def find_python() -> tuple[str, tuple[str, ...]]:
    """Return a Python that a box's user can start, and the folders it needs beside /usr.

    This interpreter where its folders are open to that user, else the system's; raises
    SandboxError where neither runs.
    """
    own = os.path.realpath(sys.executable)
    prefix = os.path.realpath(sys.base_prefix)
    system = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    choices = [(own, () if prefix == "/usr" else (prefix,))]
    choices += [(system, ())] if system is not None else []
    for python, folders in choices:
        if _runs(python):
            return python, folders
    raise SandboxError(
        f"expected a Python that user {NOBODY} can start, got {' and '.join(c[0] for c in choices)}"
    )


def _runs(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-s", "-P", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
            env=dict(ENVIRONMENT),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            **_identity(NOBODY),  # type: ignore[call-overload]
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(done.returncode == 0)


def remove_left_folders() -> list[str]:
    """Remove the folders of boxes whose owner, a process of this machine, is gone.

    Returns one line for each.
    """
    removed: list[str] = []
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        try:
            mark = (folder / OWNER_FILE).read_text()
            if folder.lstat().st_uid == os.geteuid() and is_gone(mark):
                _remove_folder(folder)
                removed.append(f"folder {folder}")
        except OSError:  # no box's folder, another user's, or going away while we look
            continue
    return removed


@functools.cache
def _sweep_once() -> list[str]:
    return remove_left_folders()


def _remove_folder(folder: Path) -> None:
    for name in ("work", "tmp"):
        if wipe(str(folder / name)):
            logger.warning("files of a box would not go: %s", folder)
            return
    shutil.rmtree(folder)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _bind(path: str) -> list[str]:
    """Return bubblewrap's arguments for a read-only path of the host's, links kept as links."""
    if os.path.islink(path) and os.path.isdir(path):
        return ["--symlink", os.readlink(path), path]
    return ["--ro-bind", path, path] if os.path.exists(path) else []


def _identity(user: int) -> dict[str, object]:
    """Return what makes a root's child that user, with no groups beside its own."""
    return {"user": user, "group": user, "extra_groups": []} if _is_root() else {}


def _is_root() -> bool:
    return os.geteuid() == 0
