"""A page of one's own as an environment: what is judged, and what is refused before it starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentgym_si.audit import audit
from agentgym_si.envs.web.visit import VisitEnv
from agentgym_si.errors import BadInput

pytestmark = pytest.mark.browser

Visit = Callable[..., VisitEnv]
HOME = "http://home.test/"


def test_the_example_of_the_docstring_is_played_and_audited(visit: Visit) -> None:
    """An answer that is right only to the letter; a noop or a cheat that earns."""
    env = visit("<p>Tea: 3 pounds</p>", goal="Say what the tea costs.", answer="3 pounds")
    observation, info = env.reset(seed=0)
    assert observation == (
        'Goal: Say what the tea costs.\n[1] text "Tea: 3 pounds"\nurl: http://home.test/'
    )
    assert info["url"] == HOME
    assert env.step("send_msg_to_user(' 3  Pounds')")[1:4] == (1.0, True, False)
    for action in ("send_msg_to_user('4 pounds')", "report_infeasible('3 pounds')"):
        env.reset(seed=0)
        assert env.step(action)[1:4] == (0.0, True, False)
    (row,) = audit(env, seeds=1).tasks
    assert (row.verdict, row.oracle, row.noop) == ("ok", 1.0, 0.0)


def test_being_at_an_address_is_judged_after_each_action(visit: Visit) -> None:
    env = visit({"": "<a href='/tea?kind=green'>tea</a>", "tea?kind=green": "Green"}, max_steps=3)
    env.reset(seed=0)
    assert env.step("click('1')")[1:4] == (0.0, False, False)  # nothing is to be reached
    env = visit(
        {"": "<a href='/tea?kind=green'>tea</a>", "tea?kind=green": "Green"},
        reach=f"{HOME}tea?kind=green",
    )
    env.reset(seed=0)
    assert env.step("noop()")[1:4] == (0.0, False, False)
    assert env.step(f"goto('{HOME}tea')")[1:3] == (0.0, False)  # another page: not found
    assert env.step("go_back()")[1:3] == (0.0, False)
    observation, reward, terminated, _, info = env.step("click('1')")
    assert (reward, terminated, info["url"]) == (1.0, True, f"{HOME}tea?kind=green")
    assert '"Green"' in observation


def test_addresses_are_checked_before_a_browser_starts() -> None:
    for pages in (None, {"http://other.test/": ""}):
        with pytest.raises(BadInput, match=r"expected .http://home\.test/. among the pages"):
            VisitEnv(url=HOME, pages=pages, browser="/nowhere")
    with pytest.raises(BadInput, match="among the pages, or a network that permits it"):
        VisitEnv(url=HOME, network="allowlist", hosts=["other.test"], browser="/nowhere")
    VisitEnv(url=HOME, network="allowlist", hosts=["home.test"], browser="/nowhere")


def test_what_waits_waits_on_the_pages_clock(visit: Visit) -> None:
    """A clock that runs backwards, or on the wall."""
    env = visit("<p id=p>0</p><script>setInterval(() => p.textContent++, 1000)</script>")
    assert '"0"' in env.reset(seed=0)[0]  # after half a second
    assert '"1"' in env.step("noop(900)")[0]
    assert '"1"' in env.step("noop(-5000)")[0]  # the usual half
    assert '"2"' in env.step("noop(200)")[0]
    assert '"12"' in env.step("noop(1000000)")[0]
