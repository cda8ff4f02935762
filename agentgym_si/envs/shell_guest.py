"""What runs in the box for `Shell-v0`: lays files out, and reads them back once all is dead.

Sent as a snippet. It uses only modules that the guest has loaded beforehand: a module found on a
path could be the agent's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import Sequence
from typing import Any

MAX_ENTRIES = 2000
MAX_FILE_BYTES = 8 << 20
MAX_BYTES = 32 << 20
"""Bytes of all files together that are read back."""


def lay_out(root: str, entries: Sequence[tuple[str, str, int, int | None, str]]) -> None:
    """Make (path, kind, mode, time, data) in the order given, parents first."""
    for path, kind, mode, _, data in entries:
        full = os.path.join(root, path)
        if kind == "folder":
            os.makedirs(full, exist_ok=True)
        elif kind == "link":
            os.symlink(data, full)
        else:
            with open(full, "wb") as file:
                file.write(data.encode("latin-1"))
        if kind != "link":
            os.chmod(full, mode)
    for path, _, _, modified, _ in reversed(entries):  # a folder's time last: its files change it
        if modified is not None:
            full = os.path.join(root, path)
            os.utime(full, (os.lstat(full).st_atime, modified), follow_symlinks=False)


def read_back(root: str, skip: Sequence[str] = ()) -> bytes:
    """Return a line of JSON, [path, kind, mode, size, link's target] each, and the files' bytes.

    The size is -1 where the bytes were not read: too many, or not to be opened. Modes are changed
    where they are in the way, so this is the last thing done to the files.
    """
    rows: list[tuple[str, str, int, int, str]] = []
    contents: list[bytes] = []
    root = os.path.abspath(root)  # "." could not be entered where its own mode forbids it
    waiting = [""]
    room = MAX_BYTES
    while waiting and len(rows) <= MAX_ENTRIES:
        folder = waiting.pop()
        for name in _names(os.path.join(root, folder)):
            path = os.path.join(folder, name)
            if path in skip:
                continue
            if len(rows) > MAX_ENTRIES:
                break
            row, data = _entry(root, path, room)
            rows.append(row)
            contents.append(data)
            room -= len(data)
            if row[1] == "folder":
                waiting.append(path)
    head = json.dumps({"entries": rows, "whole": len(rows) <= MAX_ENTRIES})
    return b"".join([head.encode(), b"\n", *contents])


def strangers() -> list[int]:
    """Return the processes in the box but the first and this one, where /proc can be read."""
    try:
        names = os.listdir("/proc")
    except PermissionError:
        return []
    return [int(name) for name in names if name.isdecimal() and _runs(name)]


def _runs(pid: str) -> bool:
    if int(pid) in (1, os.getpid()):
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _names(folder: str) -> list[str]:
    try:
        os.chmod(folder, 0o700)
        return sorted(os.listdir(folder))
    except OSError:  # "/", which is not ours, or a path that grew too long
        try:
            return sorted(os.listdir(folder))
        except OSError:
            return []


def _entry(root: str, path: str, room: int) -> tuple[tuple[str, str, int, int, str], bytes]:
    full = os.path.join(root, path)
    try:
        found = os.lstat(full)
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            return (path, "folder", mode, 0, ""), b""
        if stat.S_ISLNK(found.st_mode):
            return (path, "link", mode, 0, os.readlink(full)), b""
        if not stat.S_ISREG(found.st_mode):
            return (path, "other", mode, 0, ""), b""
        if found.st_size > min(room, MAX_FILE_BYTES):
            return (path, "file", mode, -1, ""), b""
        os.chmod(full, 0o600)
        with open(full, "rb") as file:
            data = file.read(MAX_FILE_BYTES)
        return (path, "file", mode, len(data), ""), data
    except OSError:
        return (path, "other", 0, -1, ""), b""


def answer(request: dict[str, Any]) -> None:
    """Do what the host asks; what is read goes to the host as bytes, never through a stream."""
    import agentgym_host  # type: ignore[import-not-found]  # the interpreter's own, in the box

    if "lay_out" in request:
        lay_out(request["root"], request["lay_out"])
        agentgym_host.call(json.dumps({"folder": os.getcwd()}).encode())
    else:
        if request["kill"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all but the first process and this one
        head = json.dumps({"strangers": strangers()}).encode()
        agentgym_host.call(head + b"\n" + read_back(request["root"], request["skip"]))
