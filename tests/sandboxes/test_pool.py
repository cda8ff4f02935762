"""Guards the reserve of boxes: dead ones are not handed out, none is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from agentgym_si.errors import BadInput, SandboxError
from agentgym_si.sandboxes.base import Channel, Limits
from agentgym_si.sandboxes.box import Box
from agentgym_si.sandboxes.opening import launcher_of, open_sandbox
from agentgym_si.sandboxes.pool import WarmPool


def test_fresh_boxes_come_from_the_reserve(tier: str) -> None:
    """A reset that waits for a box to start though one stands by."""
    limits = Limits()
    pool = WarmPool(launcher_of(tier), limits, 2)
    with Box(pool, limits, reuse="fresh", owned=True) as box:
        assert pool.wait(60) == 2
        names = set()
        for _ in range(4):
            box.reset()
            assert box.exec("print(1)").stdout == "1\n"
            names.add(box._name)
        assert len(names) == 4 and box.replaced == 3


def test_a_dead_box_is_not_handed_out(tier: str, kill_guest: Callable[[object], None]) -> None:
    """A box that died in the reserve and fails whoever gets it."""
    limits = Limits()
    pool = WarmPool(launcher_of(tier), limits, 1)
    try:
        assert pool.wait(60) == 1
        kill_guest(pool._ready[0]._channel)
        with Box(pool, limits) as box:
            assert box.exec("print(1)").stdout == "1\n"
    finally:
        pool.close()


class NoLauncher:
    """A tier that never starts."""

    tier = "none"

    def launch(self, limits: Limits) -> Channel:
        raise SandboxError("it does not start")

    def close(self) -> None:
        return None


def test_who_takes_a_box_sees_why_there_is_none() -> None:
    """A reserve that hides the error, or waits for boxes that never come."""
    pool = WarmPool(NoLauncher(), Limits(), 1)
    with pytest.raises(SandboxError, match="does not start"):
        pool.launch(Limits())
    with pytest.raises(BadInput, match="limits"):
        pool.launch(Limits(seconds=1))
    pool.close()
    with pytest.raises(BadInput, match="at least 1"):
        WarmPool(NoLauncher(), Limits(), 0)


def test_a_forked_process_does_not_speak_on_its_parents_stream() -> None:
    """Two processes that share one guest, each taking the other's answers."""
    with open_sandbox("bare", unsafe=True) as sandbox:
        sandbox.exec("x = 'parent'")
        pid = os.fork()
        if pid == 0:
            lost = "NameError" in sandbox.exec("x").stderr
            sandbox.close()
            os._exit(0 if lost else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert sandbox.exec("print(x)").stdout == "parent\n"
