"""Guards the contract and the walls: every check of `check_sandbox`, on every tier that is here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgym_si.errors import SandboxError, UnknownName
from agentgym_si.sandboxes.base import ExecResult, Limits, Sandbox
from agentgym_si.sandboxes.fake import FakeSandbox
from agentgym_si.sandboxes.opening import collect_garbage, open_sandbox
from agentgym_si.testing import check_sandbox
from agentgym_si.testing.sandbox import CHECKS, run_check

NOT_IN_LANDLOCK = {
    "snapshots_return": "it offers none",
    "disk_fill": "it limits each file, not the disk",
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_check(name: str, tier: str, box: Sandbox) -> None:
    """A box that gives way to one abuse, or that is of no use after it."""
    if tier == "landlock" and name in NOT_IN_LANDLOCK:
        pytest.skip(NOT_IN_LANDLOCK[name])
    run_check(name, box)


def test_nothing_is_left_on_the_host(tier: str) -> None:
    """A container, a process or a folder that outlives its box."""
    before = _leftovers()
    with open_sandbox(tier) as sandbox:
        sandbox.exec("import subprocess\nsubprocess.Popen(['sleep', '1234567'])")
        assert _leftovers() != before or tier != "docker"
    assert _leftovers() == before
    assert (
        "1234567"
        not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    )


def _leftovers() -> set[str]:
    folders = {str(path) for path in Path("/tmp").glob("agentgym-si-*")}
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "label=agentgym-si.owner"],
        capture_output=True,
        text=True,
    )
    return folders | set(listed.stdout.split())


def test_the_suite_finds_a_sandbox_that_does_nothing() -> None:
    """A conformance suite that passes whatever it is given."""
    with pytest.raises(AssertionError, match="state_is_kept"):
        check_sandbox(lambda limits: FakeSandbox(lambda command: ExecResult(0, "42\n", "")))


def test_the_suite_finds_a_process_that_confines_nothing() -> None:
    """Abuses that succeed everywhere, so that a box that stops nothing passes."""
    with open_sandbox("bare", Limits(output_bytes=1 << 16), unsafe=True) as sandbox:
        for name in ("host_and_engine", "tampering_with_the_guest"):
            with pytest.raises(Exception, match=r"host_and_engine|guest"):
                run_check(name, sandbox)


def test_the_suite_runs_all_but_what_it_is_told_to_leave_out() -> None:
    """A check that is left out by a slip of the pen."""
    with pytest.raises(UnknownName, match="snapshots_return"):
        check_sandbox(lambda limits: FakeSandbox([]), skip=["snapshot_returns"])


def test_boxes_end_with_their_owner(tier: str) -> None:
    """Boxes that burn on after the process that owns them was killed."""
    source = (
        "import threading, time\n"
        "from agentgym_si.sandboxes.opening import open_sandbox\n"
        "def work():\n"
        f"    box = open_sandbox({tier!r})\n"
        '    box.exec(\'open("busy", "w").close()\')\n'
        "    print('busy', flush=True)\n"
        '    box.exec(\'import subprocess\\nsubprocess.Popen(["sleep", "7654321"])\\n\'\n'
        "             'while True: pass', seconds=600)\n"
        "for _ in range(8): threading.Thread(target=work).start()\n"
    )
    collect_garbage()  # of a run that was killed, say
    before = _leftovers()
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        for _ in range(8):
            assert owner.stdout.readline() == "busy\n"
        _wait_until(lambda: _sleepers() == 8)
        owner.kill()
    _wait_until(lambda: _sleepers() == 0 and not _guests_of(owner.pid), seconds=2.0)
    if tier == "docker":
        _wait_until(lambda: _leftovers() <= before, seconds=2.0)
    removed = collect_garbage()
    assert len(removed) == (8 if tier == "landlock" else 0), removed
    assert _leftovers() <= before


def _sleepers() -> int:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True)
    return listed.stdout.split("\n").count("sleep 7654321")


def _guests_of(pid: int) -> list[str]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return listed.stdout.split()


def _wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_a_guest_that_is_killed_is_a_failure_of_the_box(
    tier: str, kill_guest: Callable[[object], None]
) -> None:
    """A box that died taken for a program that failed, or waited for without end."""
    with open_sandbox(tier) as sandbox:
        sandbox.exec("x = 1")
        kill_guest(sandbox._channel)  # type: ignore[attr-defined]
        with pytest.raises(SandboxError, match="gone"):
            sandbox.exec("print(1)")
        sandbox.reset()
        assert sandbox.exec("print(1)").stdout == "1\n"
        kill_guest(sandbox._channel)  # type: ignore[attr-defined]
        sandbox.reset()
        assert sandbox.exec("print(2)").stdout == "2\n"
