"""Pages at their worst: each is a failure or an observation, and the next episode is as ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgym_si.envs.web.requests import Reply, Request
from agentgym_si.envs.web.visit import VisitEnv

pytestmark = pytest.mark.browser

HOME = "http://home.test/"
DEADLINE = 2.0
"""Seconds: short, as hung pages meet it."""

FINE = "<p>fine</p><button onclick=\"this.textContent = 'clicked'\">go</button>"
STORM = '<button onclick="for (let n = 0; n < 300; n++) KIND">go</button><p>here</p>'

# What is done on each page, and the failure's kinds; none where the page is to be read.
HUNG = {
    "a loop in a click": ("<button onclick='for (;;);'>go</button>", "click('1')"),
    "a loop in a timer": (
        "<button onclick='setTimeout(() => { for (;;); })'>go</button>",
        "click('1')",
    ),
    "a loop in a promise": (
        "<button onclick='(async () => { for (;;) await null; })()'>go</button>",
        "click('1')",
    ),
    "a loop in a frame's callback": (
        "<button onclick='requestAnimationFrame(() => { for (;;); })'>go</button>",
        "click('1')",
    ),
    "a loop as it is left": (
        f"<script>addEventListener('pagehide', () => {{ for (;;); }})</script>"
        f"<a href='{HOME}'>go</a>",
        "click('1')",
    ),
    "a loop as it loads": ("<p>a</p><script>for (;;);</script>", ""),
}


@pytest.fixture(scope="module")
def site() -> Iterator[dict[str, str]]:
    yield {}


@pytest.fixture(scope="module")
def env(site: dict[str, str]) -> Iterator[VisitEnv]:
    def answer(request: Request) -> Reply | None:
        return Reply(site["page"]) if request.url.startswith(HOME) else None

    with VisitEnv(url=HOME, pages=answer, deadline_seconds=DEADLINE) as made:
        site["page"] = FINE
        made.reset(seed=0)  # the browser's own start is not what is measured
        made._deadline = 60.0
        made.reset(seed=0)
        made._deadline = DEADLINE
        yield made


def is_as_ever(env: VisitEnv, site: dict[str, str]) -> None:
    """Play an episode of a page that is well."""
    site["page"] = FINE
    env._deadline = 20.0
    observation, info = env.reset(seed=0)
    assert "failure" not in info and '"fine"' in observation
    assert '"clicked"' in env.step("click('2')")[0]
    env._deadline = DEADLINE


@pytest.mark.parametrize("page", HUNG)
def test_a_page_that_hangs_is_a_failure_of_its_episode(
    env: VisitEnv, site: dict[str, str], page: str
) -> None:
    site["page"], action = HUNG[page]
    if not action:
        env._deadline = 2 * DEADLINE
    info = env.reset(seed=0)[1]
    if action:
        assert "failure" not in info, info
        began = time.monotonic()
        info = env.step(action)[4]
    else:
        began = time.monotonic()
    assert info["failure"]["kind"] in ("deadline", "browser_died", "page_crashed"), info
    is_as_ever(env, site)
    assert time.monotonic() - began < 12  # the deadline, and a loaded machine


@pytest.mark.parametrize("kind", ["alert(n)", "confirm(n)", "prompt(n)"])
def test_a_storm_of_dialogs_is_told_in_a_few_lines(
    env: VisitEnv, site: dict[str, str], kind: str
) -> None:
    site["page"] = STORM.replace("KIND", kind)
    env.reset(seed=0)
    env._deadline = 20.0
    observation, *_, info = env.step("click('1')")
    assert "failure" not in info
    assert observation.splitlines()[2:] == [
        '[2] text "here"',
        *[f'dialog "{number}"' for number in range(10)],
        "(290 more dialogs)",
        f"url: {HOME}",
    ]
    assert len(observation) < 1000
    is_as_ever(env, site)


def test_a_storm_without_an_end_is_a_failure(env: VisitEnv, site: dict[str, str]) -> None:
    site["page"] = "<button onclick='for (;;) alert(1)'>go</button>"
    env.reset(seed=0)
    assert env.step("click('1')")[4]["failure"]["kind"] == "deadline"
    is_as_ever(env, site)


def test_a_killed_renderer_is_a_failure(env: VisitEnv, site: dict[str, str]) -> None:
    site["page"] = FINE
    env._deadline = 20.0
    env.reset(seed=0)
    assert env._hub is not None
    before = set(env._hub.call(env._hub.processes(), 10))
    renderers = [
        process
        for process in before
        if b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes()
    ]
    for process in renderers:
        os.kill(process, signal.SIGKILL)
    info = env.step("click('2')")[4]
    assert info["failure"]["kind"] in ("page_crashed", "browser_died")
    is_as_ever(env, site)


def test_chromes_own_addresses_are_no_way_to_crash_it(env: VisitEnv, site: dict[str, str]) -> None:
    site["page"] = "<a href='chrome://crash'>a</a><a href='chrome://kill'>b</a><p>here</p>"
    env.reset(seed=0)
    env._deadline = 20.0
    for action in ("click('1')", "click('2')", "goto('chrome://crash')"):
        observation, *_, info = env.step(action)
        assert "failure" not in info and '"here"' in observation
    is_as_ever(env, site)


@pytest.mark.parametrize("depth", [1000, 10_000])
def test_a_deep_page_is_read_or_a_failure(env: VisitEnv, site: dict[str, str], depth: int) -> None:
    """A walk that has no room on the stack; at the greater depth Chromium itself has none."""
    site["page"] = (
        f"<p>top</p><script>let at = document.body; for (let n = 0; n < {depth}; n++) "
        "at = at.appendChild(document.createElement('div')); at.textContent = 'bottom'</script>"
    )
    env._deadline = 20.0
    observation, info = env.reset(seed=0)
    if depth < 5000:
        assert "failure" not in info and '"top"' in observation and '"bottom"' in observation
    else:
        assert '"top"' in observation or info["failure"]["kind"] in ("page_crashed", "page_error")
    is_as_ever(env, site)


def test_a_large_page_is_read(env: VisitEnv, site: dict[str, str]) -> None:
    site["page"] = f"<p>{'word ' * 1_000_000}</p><button>go</button>"
    env._deadline = 30.0
    observation, info = env.reset(seed=0)
    assert "failure" not in info, info
    assert 'button "go"' in observation and len(observation) < 2000
    is_as_ever(env, site)


def test_a_page_of_many_elements_is_read(env: VisitEnv, site: dict[str, str]) -> None:
    """Time that grows with the square of the elements."""
    site["page"] = "<ul>" + "<li><a href=/>one</a> <b>two</b></li>" * 3000 + "</ul>"
    env._deadline = 30.0
    began = time.monotonic()
    observation, info = env.reset(seed=0)
    assert "failure" not in info, info
    assert len(observation.splitlines()) > 3000
    assert time.monotonic() - began < 12  # the deadline, and a loaded machine
    is_as_ever(env, site)


def test_a_page_that_spoils_the_language_is_a_failure_at_worst(
    env: VisitEnv, site: dict[str, str]
) -> None:
    """A page whose scripts replace what ours is made of."""
    site["page"] = (
        "<p>here</p><script>Promise.prototype.then = null; Array.prototype.map = null;"
        "Map.prototype.get = null; JSON.stringify = null; delete globalThis.__agentgym;</script>"
    )
    info = env.reset(seed=0)[1]
    assert "failure" not in info or info["failure"]["kind"] in ("page_error", "deadline")
    is_as_ever(env, site)


def test_a_page_that_closes_itself_stays_or_is_a_failure_of_its_own(
    env: VisitEnv, site: dict[str, str]
) -> None:
    """A page that takes the browser of its neighbours with it."""
    site["page"] = FINE
    env._deadline = 20.0
    with VisitEnv(url=HOME, pages={HOME: FINE}) as other:
        other.reset(seed=0)
        site["page"] = (
            "<button onclick='window.close()'>a</button><button onclick='"
            "document.body.append(document.createElement(`iframe`));"
            "frames[0].close.call(window)'>b</button>"
        )
        env.reset(seed=0)
        assert 'button "a"' in env.step("click('1')")[0]
        info = env.step("click('2')")[4]
        assert info.get("failure", {}).get("kind", "page_crashed") == "page_crashed"
        assert '"clicked"' in other.step("click('2')")[0]
        assert env._hub is other._hub and not other._hub.broken
    is_as_ever(env, site)
