"""What of a page is shown: literal lines for each option, made up and of a real page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentgym_si.envs.web.snapshot import Element, Page
from agentgym_si.envs.web.view import View, show
from agentgym_si.envs.web.visit import VisitEnv
from agentgym_si.errors import BadInput

Visit = Callable[..., VisitEnv]

BEFORE = Page(
    "Buy  it",
    (
        Element(1, "link", "Home", looks={"box": "0,0,40,18"}),
        Element(2, "textbox", "Name", value="jo"),
        Element(3, "button", "Go"),
    ),
    ("url: http://a.test/",),
)
AFTER = Page(
    "Buy it",
    (
        Element(1, "link", "Home", looks={"box": "0,9,40,18"}),
        Element(2, "textbox", "Name", value="joe"),
        Element(4, "text", "Done"),
    ),
    ("url: http://a.test/",),
)


def test_a_page_is_its_goal_its_elements_and_its_notes() -> None:
    assert show(BEFORE, View()).splitlines() == [
        "Goal: Buy it",
        '[1] link "Home"',
        '[2] textbox "Name" value="jo"',
        '[3] button "Go"',
        "url: http://a.test/",
    ]
    assert show(BEFORE, View(boxes=True)).splitlines()[1] == '[1] link "Home" box=0,0,40,18'


def test_changes_are_what_is_gone_then_what_is_new() -> None:
    """An element that only moved, told as a change where places are not shown."""
    before = Page(AFTER.goal, BEFORE.elements, BEFORE.notes)
    assert show(AFTER, View(changes_only=True), before).splitlines() == [
        "Goal: Buy it",
        '- [3] button "Go"',
        '+ [2] textbox "Name" value="joe"',
        '+ [4] text "Done"',
        "url: http://a.test/",
    ]
    assert show(AFTER, View(changes_only=True, boxes=True), before).splitlines()[2] == (
        '+ [1] link "Home" box=0,9,40,18'
    )
    assert "(nothing changed)" in show(AFTER, View(changes_only=True), AFTER)
    assert show(AFTER, View(changes_only=True)) == show(AFTER, View())  # the first page is whole


def test_what_is_cut_is_said() -> None:
    lines = ['[1] link "Home"', '[2] textbox "Name" value="jo"', '[3] button "Go"']
    fits = sum(len(line) + 1 for line in lines)
    assert show(BEFORE, View(max_characters=fits)) == show(BEFORE, View())
    assert show(BEFORE, View(max_characters=fits - 1)).splitlines() == [
        "Goal: Buy it",
        *lines[:2],
        "(1 of 3 lines are cut here)",
        "url: http://a.test/",
    ]
    assert "(3 of 3 lines are cut here)" in show(BEFORE, View(max_characters=1))
    with pytest.raises(BadInput, match="expected max_characters of at least 1, got 0"):
        View(max_characters=0)


HTML = """<!doctype html><body style="margin:0">
<button style="position:absolute;left:10px;top:20px;width:100px;height:30px"
 onclick="this.textContent = 'Clicked'; document.querySelector('p')?.remove()">Top</button>
<p style="position:absolute;left:10px;top:100px;margin:0;width:200px;height:20px">Note</p>
<a href="#" style="position:absolute;left:10px;top:2000px">Below</a>"""


@pytest.mark.browser
def test_a_real_page_in_each_view(visit: Visit) -> None:
    whole = ['[1] button "Top"', '[2] text "Note"', '[3] link "Below"']
    env = visit(HTML)
    assert env.reset(seed=0)[0].splitlines()[1:-1] == whole
    env = visit(HTML, viewport_only=True)
    assert env.reset(seed=0)[0].splitlines()[1:-1] == whole[:2]
    assert env.step("scroll(0, 1800)")[0].splitlines()[1:-1] == ['[3] link "Below"']
    env = visit(HTML, boxes=True)
    lines = env.reset(seed=0)[0].splitlines()
    assert lines[1] == '[1] button "Top" box=10,20,100,30'
    assert lines[2] == '[2] text "Note" box=10,100,200,20'
    assert env.step("scroll(0, 15)")[0].splitlines()[1] == '[1] button "Top" box=10,5,100,30'


@pytest.mark.browser
def test_a_real_pages_changes_and_cuts(visit: Visit) -> None:
    env = visit(HTML, changes_only=True, max_characters=40)
    assert env.reset(seed=0)[0].splitlines()[1:-1] == [
        '[1] button "Top"',
        '[2] text "Note"',
        "(1 of 3 lines are cut here)",
    ]
    assert env.step("noop()")[0].splitlines()[1:-1] == ["(nothing changed)"]
    assert env.step("click('1')")[0].splitlines()[1:-1] == [
        '- [2] text "Note"',
        "(1 of 2 lines are cut here)",
    ]
    assert env.reset(seed=0)[0].splitlines()[1] == '[1] button "Top"'  # an episode's first is whole


@pytest.mark.browser
def test_screenshots_show_the_page_and_marks_only_where_wished_for(visit: Visit) -> None:
    page = """<!doctype html><body style="margin:0;background:#00f">
    <button style="position:absolute;left:10px;top:20px;width:100px;height:30px;border:0;
    background:#fff"></button>"""
    plain = visit(page, screenshot=True).reset(seed=0)[1]["screenshot"]
    assert plain.shape == (600, 800, 3)
    assert plain[5, 5].tolist() == [0, 0, 255] and plain[21, 11].tolist() == [255, 255, 255]
    env = visit(page, screenshot="marks")
    observation, info = env.reset(seed=0)
    changed = (info["screenshot"] != plain).any(axis=2)
    assert changed[20, 10:110].all() and changed[20:50, 109].all()
    changed[20:50, 10:110] = False
    assert not changed.any()
    assert "box=" not in observation
    assert "screenshot" not in visit(page).reset(seed=0)[1]


@pytest.mark.browser
def test_pictures_that_load_late_or_never_hold_nothing_up(visit: Visit) -> None:
    """A page that waits for a picture that is only fetched when it is scrolled to."""
    env = visit(
        "<img src=/missing.png alt=a><img loading=lazy src=/never.png alt=lazy "
        "style='position:absolute;top:9000px'><p>here</p>",
        deadline_seconds=3.0,
    )
    observation, info = env.reset(seed=0)
    assert "failure" not in info and '"here"' in observation
