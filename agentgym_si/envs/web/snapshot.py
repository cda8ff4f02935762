"""A page as text, one line an element; and the text read back into elements."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(r"\[(\d+)\] (\S+)(?: (\"(?:[^\"\\]|\\.)*\"))?(.*)")
_VALUE = re.compile(r" value=(\"(?:[^\"\\]|\\.)*\")")
_OPTIONS = re.compile(r" options=(\[.*?\](?= [a-z]|$))")


@dataclass(frozen=True)
class Element:
    """One line of a page."""

    id: int
    role: str
    name: str = ""
    value: str | None = None
    states: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    looks: Mapping[str, str] = field(default_factory=dict)
    """Of what is drawn: `color`, `at` (centre x,y in pixels), `size`, `points`."""


@dataclass(frozen=True)
class Page:
    """What a policy sees of a page."""

    goal: str
    elements: tuple[Element, ...]
    notes: tuple[str, ...] = ()
    """Other lines: dialogs, tabs, the error of the last action."""


def element_of(row: Sequence[Any]) -> Element:
    """Return the element of a row of the page's own snapshot."""
    number, role, name, value, states, options, looks = row
    return Element(
        int(number), role, name, value, tuple(states), tuple(options or ()), dict(looks or ())
    )


def format_element(element: Element) -> str:
    """Return an element's line: `[3] textbox "Name" value="joe" focused`."""
    parts = [f"[{element.id}] {element.role}"]
    if element.name:
        parts.append(_quote(element.name))
    if element.value:
        parts.append(f"value={_quote(element.value)}")
    if element.options:
        parts.append(f"options={json.dumps(element.options, ensure_ascii=False)}")
    for key, look in element.looks.items():
        parts.append(f"{key}={look}" if key != "points" else f"points={look.replace(' ', ';')}")
    return " ".join([*parts, *element.states])


def format_page(page: Page) -> str:
    """Return the observation: the goal, a line an element, then the notes."""
    goal = f"Goal: {' '.join(page.goal.split())}"
    return "\n".join([goal, *map(format_element, page.elements), *page.notes])


def read_page(observation: str) -> Page:
    """Return what an observation says; the inverse of `format_page`."""
    first, *lines = observation.split("\n")
    elements, notes = [], []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match:
            elements.append(_read_element(match))
        else:
            notes.append(line)
    return Page(first.removeprefix("Goal: "), tuple(elements), tuple(notes))


def page_of(state: Mapping[str, Any], notes: Sequence[str]) -> Page:
    """Return the page of what the browser reports: `goal` and `rows`."""
    return Page(state["goal"], tuple(map(element_of, state["rows"])), tuple(notes))


def quoted_words(goal: str) -> list[str]:
    """Return what stands in double quotes in a goal, in order, each once."""
    return list(dict.fromkeys(re.findall(r'"([^"]*)"', goal)))


def _read_element(match: re.Match[str]) -> Element:
    number, role, name, rest = match.groups()
    value, options = _VALUE.match(rest), None
    if value:
        rest = rest[value.end() :]
    options = _OPTIONS.match(rest)
    if options:
        rest = rest[options.end() :]
    return Element(
        int(number),
        role,
        json.loads(name) if name else "",
        json.loads(value[1]) if value else None,
        tuple(rest.split()),
        tuple(json.loads(options[1])) if options else (),
    )


def _quote(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
