"""Hand-written solvers: what the policy sees (the page's text) to the next action."""

from __future__ import annotations

import re
from collections.abc import Callable

from agentgym_si.envs.web.snapshot import Element, Page, quoted_words

Solver = Callable[[Page, tuple[str, ...]], str]
"""Maps the page and the actions so far to the next action."""


def find(page: Page, *roles: str, name: str | None = None, nth: int = 0) -> Element:
    """Return the nth element of one of the roles, and of the name (exact before any case)."""
    of_role = [element for element in page.elements if not roles or element.role in roles]
    exact = [element for element in of_role if name is None or element.name == name]
    loose = [element for element in of_role if name and element.name.lower() == name.lower()]
    return (exact or loose)[nth]


def click(element: Element) -> str:
    """Return the click on an element."""
    return f"click('{element.id}')"


def fill(element: Element, text: str) -> str:
    """Return the filling of an element."""
    return f"fill('{element.id}', {text!r})"


def quoted(page: Page, nth: int = 0) -> str:
    """Return the nth quoted part of the goal."""
    return quoted_words(page.goal)[nth]


def clicker(*roles: str, name: str | None = None) -> Solver:
    """Click the element of a name; without one, of the goal's first quoted words."""

    def solve(page: Page, actions: tuple[str, ...]) -> str:
        return click(find(page, *roles, name=quoted(page) if name is None else name))

    return solve


def fill_all(page: Page, texts: list[str], button: str) -> str:
    """Fill the textboxes in order, each with its text, then click the button."""
    boxes = [element for element in page.elements if element.role in ("textbox", "textarea")]
    for box, text in zip(boxes, texts, strict=False):
        if (box.value or "") != text:
            return fill(box, text)
    return click(find(page, "button", name=button))


def tick(page: Page, role: str, names: list[str]) -> str:
    """Click what is to be checked, then Submit."""
    for name in names:
        box = find(page, role, name=name)
        if "checked" not in box.states:
            return click(box)
    return click(find(page, "button", name="Submit"))


def focus_nth(page: Page, actions: tuple[str, ...]) -> str:
    """Focus the textbox of the goal's ordinal."""
    ordinal = re.search(r"(\d+)(?:st|nd|rd|th)", page.goal)
    return click(find(page, "textbox", nth=int(ordinal[1]) - 1 if ordinal else 0))


def click_tab(page: Page, actions: tuple[str, ...]) -> str:
    """Click the tab the goal names."""
    return click(find(page, "tab", name=page.goal.removeprefix("Click on ").rstrip(".")))


def click_dialog_2(page: Page, actions: tuple[str, ...]) -> str:
    """Click the dialog's button; its cross is labelled x in the goal."""
    wanted = quoted(page)
    return click(find(page, "button", name="Close" if wanted == "x" else wanted))


def enter_password(page: Page, actions: tuple[str, ...]) -> str:
    """Fill both boxes with the password."""
    return fill_all(page, [quoted(page)] * 2, "Submit")


def login_user(page: Page, actions: tuple[str, ...]) -> str:
    """Fill user and password, and log in."""
    return fill_all(page, [quoted(page, 0), quoted(page, 1)], "Login")


def enter_text(page: Page, actions: tuple[str, ...]) -> str:
    """Fill the box with the quoted text."""
    return fill_all(page, [quoted(page)], "Submit")


def click_checkboxes(page: Page, actions: tuple[str, ...]) -> str:
    """Check the boxes the goal lists, then submit."""
    listed = page.goal.removeprefix("Select ").removesuffix(" and click Submit.")
    return tick(page, "checkbox", [] if listed == "nothing" else listed.split(", "))


def click_option(page: Page, actions: tuple[str, ...]) -> str:
    """Choose the radio button, then submit."""
    return tick(page, "radio", [page.goal.removeprefix("Select ").split(" and click")[0]])


ORACLES: dict[str, Solver] = {
    "click-test": clicker("button", name="Click Me!"),
    "click-test-2": clicker("button", name="ONE"),
    "click-button": clicker("button"),
    "click-link": clicker("link"),
    "click-dialog": clicker("button", name="Close"),
    "click-dialog-2": click_dialog_2,
    "click-tab": click_tab,
    "focus-text": focus_nth,
    "focus-text-2": focus_nth,
    "enter-text": enter_text,
    "enter-password": enter_password,
    "login-user": login_user,
    "click-checkboxes": click_checkboxes,
    "click-option": click_option,
}
