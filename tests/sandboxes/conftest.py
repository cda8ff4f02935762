"""The tiers that work on this machine, each probed once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentgym_si.sandboxes.base import Sandbox
from agentgym_si.sandboxes.opening import TIERS, open_sandbox, probe
from agentgym_si.testing.sandbox import LIMITS


@pytest.fixture(scope="session", params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    """Each tier's name in turn; skips, with the reason, where it does not work here."""
    name = str(request.param)
    found = probe(name)
    if not found.works:
        pytest.skip(f"{name}: {found.why}")
    return name


@pytest.fixture(scope="session")
def box(tier: str) -> Iterator[Sandbox]:
    """One sandbox of the tier, shared by the tests that reset it."""
    with open_sandbox(tier, LIMITS) as sandbox:
        yield sandbox


@pytest.fixture
def kill_guest(tier: str) -> Callable[[Any], None]:
    """Kill the guest behind a channel of the tier, as an accident would."""

    def kill(channel: Any) -> None:
        if tier == "docker":
            command = ["docker", "kill", channel.container]
            subprocess.run(command, check=True, capture_output=True)
            return
        pid = channel.pid
        if tier == "bubblewrap":  # which is only the guest's parent
            command = ["ps", "-o", "pid=", "--ppid", str(pid)]
            pid = int(subprocess.run(command, capture_output=True, text=True).stdout)
        os.kill(pid, 9)

    return kill
