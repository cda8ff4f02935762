"""`open_sandbox`: the sandbox asked for, or the strongest that works here, and why it is that one.

    docker > bubblewrap > landlock > refusal

Each is probed by running a snippet in it; none is ever taken in another's place unless "auto" was
asked for, and then the choice is logged and can be read (`choose`).
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable
from typing import NamedTuple

from agentgym_si.errors import AgentGymError, MissingDependency, SandboxError, UnknownName
from agentgym_si.sandboxes.base import Launcher, Limits, Reuse, Sandbox
from agentgym_si.sandboxes.box import Box
from agentgym_si.sandboxes.pool import WarmPool
from agentgym_si.sandboxes.processes import (
    BubblewrapLauncher,
    LandlockLauncher,
    bare_launcher,
    remove_left_folders,
)

logger = logging.getLogger(__name__)

TIERS = ("docker", "bubblewrap", "landlock")
"""The tiers that "auto" looks for, the strongest first."""
NAMES = ("auto", *TIERS, "bare")

SandboxSource = str | Callable[[], Sandbox]
"""How an environment is told its sandbox: a name of `NAMES`, or a function that makes one."""


class Probe(NamedTuple):
    """What came of trying a tier."""

    tier: str
    works: bool
    why: str
    """What it ran, or what went wrong, in one sentence."""


def open_sandbox(
    sandbox: SandboxSource = "auto",
    limits: Limits | None = None,
    *,
    reuse: Reuse = "reset",
    image: str | None = None,
    runtime: str | None = None,
    unsafe: bool = False,
    spare: int = 0,
) -> Sandbox:
    """Return a sandbox that is not started yet.

    Args:
        sandbox: "auto", a tier's name, or a function that returns a `Sandbox` of your own.
        limits: what it may use.
        reuse: see `base.Reuse`.
        image: the Docker tier's image; None for the one `make images` builds.
        runtime: the Docker engine's runtime, such as "runsc"; None for its default.
        unsafe: has to be True for "bare", which confines nothing.
        spare: boxes kept started in reserve, so that a fresh one is at hand; 0 for none.

    Raises UnknownName, SandboxError where "auto" finds no tier that works, MissingDependency for
    "docker" without the package, and BadInput.
    """
    if callable(sandbox):
        return sandbox()
    tier = choose(image, runtime).tier if sandbox == "auto" else sandbox
    launcher = launcher_of(tier, image=image, runtime=runtime, unsafe=unsafe)
    limits = limits or Limits()
    if spare:
        return Box(WarmPool(launcher, limits, spare), limits, reuse=reuse, owned=True)
    return Box(launcher, limits, reuse=reuse)


def launcher_of(
    tier: str, *, image: str | None = None, runtime: str | None = None, unsafe: bool = False
) -> Launcher:
    """Return a tier's launcher; raises UnknownName, MissingDependency and BadInput."""
    if tier == "docker":
        if importlib.util.find_spec("docker") is None:
            raise MissingDependency(
                "the Docker sandbox needs its SDK: pip install 'agentgym-si[docker]'"
            )
        from agentgym_si.sandboxes.docker import IMAGE, DockerLauncher

        return DockerLauncher(image or IMAGE, runtime)
    if tier == "bubblewrap":
        return BubblewrapLauncher()
    if tier == "landlock":
        return LandlockLauncher()
    if tier == "bare":
        return bare_launcher(unsafe=unsafe)
    raise UnknownName("sandbox", tier, NAMES)


@functools.cache
def choose(image: str | None = None, runtime: str | None = None) -> Probe:
    """Return the strongest tier that works here; raises SandboxError with each one's reason."""
    failures: list[Probe] = []
    for tier in TIERS:
        found = probe(tier, image=image, runtime=runtime)
        if found.works:
            passed = "".join(f"; not {failed.tier}: {failed.why}" for failed in failures)
            chosen = Probe(tier, True, found.why + passed)
            logger.info("sandbox: %s (%s)", tier, chosen.why)
            return chosen
        failures.append(found)
    reasons = "; ".join(f"{failed.tier}: {failed.why}" for failed in failures)
    raise SandboxError(f"no sandbox works here ({reasons})")


def collect_garbage() -> list[str]:
    """Remove what boxes of processes that are gone left on this machine; one line for each.

    Raises SandboxError where there is an engine that cannot be swept.
    """
    removed = remove_left_folders()
    if probe_engine():
        from agentgym_si.sandboxes.docker import remove_leftovers

        removed += remove_leftovers()
    return removed


def probe_engine() -> bool:
    """Say whether a Docker engine answers here."""
    if importlib.util.find_spec("docker") is None:
        return False
    from agentgym_si.sandboxes.docker import engine_answers

    return engine_answers()


def probe(tier: str, *, image: str | None = None, runtime: str | None = None) -> Probe:
    """Try a tier by running a snippet in it."""
    try:
        with Box(launcher_of(tier, image=image, runtime=runtime)) as box:
            result = box.exec("print(6 * 7)")
    except AgentGymError as error:
        return Probe(tier, False, str(error))
    if result.stdout != "42\n":
        return Probe(tier, False, f"a snippet that prints 42 gave {result}")
    return Probe(tier, True, "a snippet ran in it")
