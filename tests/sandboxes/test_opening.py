"""Guards the choice of a tier: never silently another, and every refusal says why."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentgym_si.errors import BadInput, SandboxError, UnknownName
from agentgym_si.sandboxes.base import Limits
from agentgym_si.sandboxes.fake import FakeSandbox
from agentgym_si.sandboxes.opening import TIERS, choose, collect_garbage, open_sandbox, probe
from agentgym_si.sandboxes.ownership import owner


def test_auto_takes_the_strongest_that_works_and_says_why() -> None:
    """A weaker sandbox taken in a stronger one's place, unsaid."""
    working = [tier for tier in TIERS if probe(tier).works]
    if not working:
        pytest.skip("no sandbox works here")
    chosen = choose()
    assert chosen.tier == working[0] and "ran" in chosen.why
    with open_sandbox() as sandbox:
        assert sandbox.tier == working[0]


def test_a_tier_that_does_not_work_is_refused() -> None:
    """A fall from the tier that was asked for to another."""
    with pytest.raises(UnknownName, match="bubblewrap"):
        open_sandbox("bubblewarp")
    with pytest.raises(BadInput, match="unsafe=True"):
        open_sandbox("bare")


def test_without_an_engine_docker_is_refused_and_auto_says_so() -> None:
    """A trace of the HTTP library where the engine is not there."""
    source = (
        "from agentgym_si.errors import SandboxError\n"
        "from agentgym_si.sandboxes.opening import choose, open_sandbox\n"
        "try: open_sandbox('docker').start()\n"
        "except SandboxError as error: print(error)\n"
        "print(choose().why)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"DOCKER_HOST": "unix:///nowhere/docker.sock", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert "no Docker engine answers" in done.stdout.splitlines()[0], done
    assert "not docker: sandbox: no Docker engine" in done.stdout.splitlines()[1], done


def test_a_missing_image_is_named_with_what_builds_it() -> None:
    """An engine's error page instead of the command that mends it."""
    found = probe("docker", image="agentgym-si/no-such-image")
    assert not found.works
    if probe("docker").works:
        assert "make images" in found.why


def test_your_own_sandbox_is_taken_as_it_is() -> None:
    """A user's sandbox that cannot be plugged in."""
    fake = FakeSandbox([])
    assert open_sandbox(lambda: fake) is fake
    with pytest.raises(SandboxError, match="used up"):
        fake.exec("print(1)")


@pytest.mark.parametrize(
    "field", ["seconds", "memory_mib", "processes", "output_bytes", "disk_mib", "cpus"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_zero(field: str, value: float) -> None:
    """A limit of 0 that an engine takes for none."""
    with pytest.raises(BadInput, match=field):
        Limits(**{field: value})


def test_garbage_of_the_dead_is_collected_and_that_of_the_living_is_not() -> None:
    """A container that was created and never started, which no dead man's switch can end."""
    if not probe("docker").works:
        pytest.skip("no Docker sandbox here")
    host = owner().split("/")[0]
    marks = {"dead": f"{host}/{2**22 + 1}/1", "living": owner(), "elsewhere": "other-host/1/1"}
    made = {
        name: subprocess.run(
            ["docker", "create", "--label", f"agentgym-si.owner={mark}", "agentgym-si/python"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for name, mark in marks.items()
    }
    try:
        removed = [line for line in collect_garbage() if made["dead"][:12] in line]
        assert removed == [f"container {made['dead'][:12]} (created)"]
        listed = subprocess.run(
            ["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True
        ).stdout.split()
        assert made["dead"] not in listed and {made["living"], made["elsewhere"]} <= set(listed)
    finally:
        subprocess.run(["docker", "rm", "-f", *made.values()], capture_output=True, check=False)
