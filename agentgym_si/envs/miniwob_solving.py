"""What the MiniWoB oracles are made of: finding, clicking, filling, in terms of the text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from agentgym_si.envs.web.snapshot import Element, Page, quoted_words

Solver = Callable[[Page, tuple[str, ...]], str]
"""Maps the page and the actions so far to the next action."""

Recaller = Callable[[Sequence[Page], tuple[str, ...]], str]
"""Maps the pages seen, the present one last, and the actions between them to the next action."""

TYPED = ("textbox", "textarea")


def choose(
    page: Page, *roles: str, name: str | None = None, state: str | None = None
) -> list[Element]:
    """Return the elements of any of the roles, of the name, and in the state."""
    return [
        element
        for element in page.elements
        if (not roles or element.role in roles)
        and (name is None or element.name == name)
        and (state is None or state in element.states)
    ]


def find(page: Page, *roles: str, name: str | None = None, nth: int = 0) -> Element:
    """Return the nth element of one of the roles, and of the name (exact before any case)."""
    of_role = choose(page, *roles)
    exact = [element for element in of_role if name is None or element.name == name]
    loose = [element for element in of_role if name and element.name.lower() == name.lower()]
    return (exact or loose)[nth]


def click(element: Element) -> str:
    """Return the click on an element."""
    return f"click('{element.id}')"


def fill(element: Element, text: str) -> str:
    """Return the filling of an element."""
    return f"fill('{element.id}', {text!r})"


def drag(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a drag with the mouse from point to point, to a tenth of a pixel."""
    return f"mouse_drag_and_drop({', '.join(f'{part:.1f}' for part in (*start, *end))})"


def mouse_click(x: float, y: float) -> str:
    """Return the click on a pixel."""
    return f"mouse_click({x:g}, {y:g})"


def place(element: Element) -> tuple[float, float]:
    """Return the centre of a drawn element."""
    x, y = element.looks["at"].split(",")
    return float(x), float(y)


def size(element: Element) -> tuple[float, float]:
    """Return the width and height of a drawn element."""
    width, height = element.looks["size"].split("x")
    return float(width), float(height)


def submit(page: Page, name: str = "Submit") -> str:
    """Click the button of a name."""
    return click(find(page, "button", "clickable", name=name))


def quoted(page: Page, nth: int = 0) -> str:
    """Return the nth quoted part of the goal."""
    return quoted_words(page.goal)[nth]


def said(page: Page, pattern: str) -> tuple[str, ...]:
    """Return the groups of a pattern that the goal contains."""
    match = re.search(pattern, page.goal)
    if match is None:
        raise LookupError(f"expected a goal like {pattern!r}, got {page.goal!r}")
    return match.groups()


def ordinal(page: Page) -> int:
    """Return the goal's first ordinal counted from 0: "the 3rd" is 2; without one, 0."""
    match = re.search(r"(\d+)(?:st|nd|rd|th)\b", page.goal)
    return int(match[1]) - 1 if match else 0


def clicker(*roles: str, name: str | None = None) -> Solver:
    """Make a solver that clicks the element of a name, else of the goal's first quoted words."""

    def solve(page: Page, actions: tuple[str, ...]) -> str:
        return click(find(page, *roles, name=quoted(page) if name is None else name))

    return solve


def fill_all(page: Page, texts: Iterable[str], button: str = "Submit") -> str:
    """Fill the textboxes in order, each with its text, then click the button."""
    for box, text in zip(choose(page, *TYPED), texts, strict=False):
        if (box.value or "") != text:
            return fill(box, text)
    return submit(page, button)


def tick(page: Page, role: str, names: Iterable[str]) -> str:
    """Click what is to be checked, then Submit."""
    for name in names:
        box = find(page, role, name=name)
        if "checked" not in box.states:
            return click(box)
    return submit(page)


def after(page: Page, name: str, *roles: str) -> Element:
    """Return the first element of a role that comes after the one of the name."""
    names = [element.name for element in page.elements]
    for element in page.elements[names.index(name) + 1 :]:
        if element.role in roles:
            return element
    raise LookupError(f"expected one of {roles} after {name!r}")
