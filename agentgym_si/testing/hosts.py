"""What a check of a sandbox looks at on the host: its processes, its files, its addresses."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOON_SECONDS = 2.0
"""What a killed process has to be gone from the host's list."""


def new_mark() -> str:
    """Return an argument for `sleep` by which the process can be found."""
    return f"3{secrets.randbelow(10**9):09d}.5"


def is_running(mark: str) -> bool:
    """Say whether a process with that argument runs on the host."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if mark in (folder / "cmdline").read_bytes().decode(errors="replace").split("\0"):
                    return True
            except (FileNotFoundError, ProcessLookupError):
                continue
    return False


def assert_gone(mark: str) -> None:
    """Wait until no process with that argument runs; raises AssertionError."""
    deadline = time.monotonic() + SOON_SECONDS
    while is_running(mark):
        assert time.monotonic() < deadline, "a process of the episode lives on"
        time.sleep(0.02)


def own_addresses() -> list[str]:
    """Return the addresses by which this host knows itself."""
    return [
        str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), 80, socket.AF_INET)
    ]


@contextmanager
def secret_of_the_host() -> Iterator[tuple[str, str]]:
    """Lay out a file that anyone on the host can read, and a process that carries its text."""
    secret = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="host-") as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "secret"
        path.write_text(secret)
        path.chmod(0o644)
        holder = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()", secret], stdin=subprocess.PIPE
        )
        try:
            yield str(path), secret
        finally:
            holder.communicate()
