"""A bubblewrap box that looks like InterCode's container: root's eyes, and a "/" to write to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from agentgym_si.sandboxes.base import Channel, Limits
from agentgym_si.sandboxes.processes import (
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    bubblewrap_guest,
    find_bubblewrap,
    find_python,
    writable_folders,
)

WORK, TEMPORARY = "/var/work", "/var/temporary"
"""Out of sight: "/" holds what the benchmark's holds."""


@dataclass(frozen=True)
class RootLauncher:
    """Boxes for one episode each: a reset empties neither "/" nor /usr.

    The user is root by name only, without any capability and with nobody's rights outside. All
    that `BubblewrapLauncher` says of its boxes is so here too, but that "/" is a sized tmpfs, and
    so are the folders of the system, with the system's own files bound into them read only.
    """

    tier: ClassVar[str] = "bubblewrap"

    def launch(self, limits: Limits) -> Channel:
        """Start a box; raises SandboxError."""
        python, prefix = find_python()
        size = ["--size", str(limits.disk_mib << 20)]
        command = [find_bubblewrap(), "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0"]
        command += ["--as-pid-1", "--new-session", "--cap-drop", "ALL", *size, "--tmpfs", "/"]
        command += [
            part for name in sorted(os.listdir("/usr")) for part in _read_only(f"/usr/{name}")
        ]
        for path in (*SYSTEM_FOLDERS, "/sbin", *SYSTEM_FILES, *prefix):
            command += _read_only(path) if not path.startswith("/usr") else []
        command += writable_folders(limits, WORK, TEMPORARY)
        return bubblewrap_guest(command, python, limits, WORK, TEMPORARY)

    def close(self) -> None:
        """Do nothing: a launcher holds nothing."""


def _read_only(path: str) -> list[str]:
    """Return bubblewrap's arguments for a path of the system's, links kept as links."""
    if os.path.islink(path):
        return ["--symlink", os.readlink(path), path]
    return ["--ro-bind", path, path] if os.path.exists(path) else []
