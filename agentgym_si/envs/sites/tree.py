"""A page as one tree of elements, from which both the HTML and the text of a page are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus


@dataclass(frozen=True, eq=False)
class Node:
    """An HTML element; two of the same content are two."""

    tag: str
    attributes: Mapping[str, str]
    children: tuple[Node | str, ...] = ()

    def text(self) -> str:
        """Return all text in it, white space as it stands."""
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)


Content = Node | str | None
"""A part of a page; None is left out."""


def make(tag: str, *children: Content, **attributes: str | None) -> Node:
    """Return an element; an attribute of None is left out, `_` in its name is `-`."""
    given = {
        name.strip("_").replace("_", "-"): value
        for name, value in attributes.items()
        if value is not None
    }
    return Node(tag, given, tuple(child for child in children if child is not None))


def heading(text: str) -> Node:
    """Return a page's heading."""
    return make("h1", text)


def section(text: str) -> Node:
    """Return the heading of a part of a page."""
    return make("h2", text)


def paragraph(*children: Content) -> Node:
    """Return a paragraph."""
    return make("p", *children)


def link(text: str, url: str) -> Node:
    """Return a link; `url` is whole or begins with `/`."""
    return make("a", text, href=url)


def listing(entries: Iterable[Content | tuple[Content, ...]]) -> Node | None:
    """Return a list, each entry of one part or several; None where there are none."""
    parts = [entry if isinstance(entry, tuple) else (entry,) for entry in entries]
    return make("ul", *(make("li", *entry) for entry in parts)) if parts else None


def facts(pairs: Iterable[tuple[str, object]]) -> Node:
    """Return lines of `name: value`."""
    return make("ul", *(make("li", f"{name}: {value}") for name, value in pairs), class_="facts")


def form(action: str, *children: Content, method: str = "post") -> Node:
    """Return a form; what it holds is sent to `action` by one of its buttons."""
    return make("form", *children, action=action, method=method, autocomplete="off")


def textbox(label: str, name: str, value: str = "") -> Node:
    """Return a box for one line of text with its label."""
    box = make("input", type="text", name=name, value=value, id=f"field-{name}")
    return make("p", make("label", label, for_=f"field-{name}"), box, class_="field")


def textarea(label: str, name: str, value: str = "") -> Node:
    """Return a box for longer text with its label."""
    box = make("textarea", value, name=name, id=f"field-{name}", rows="4")
    return make("p", make("label", label, for_=f"field-{name}"), box, class_="field")


def choice(label: str, name: str, options: Iterable[str], chosen: str = "") -> Node:
    """Return a list to choose one option from, with its label; the first is chosen by default."""
    entries = [
        make("option", option, selected="selected" if option == chosen else None)
        for option in options
    ]
    box = make("select", *entries, name=name, id=f"field-{name}")
    return make("p", make("label", label, for_=f"field-{name}"), box, class_="field")


def checkbox(label: str, name: str) -> Node:
    """Return a box to tick, sent as `name=yes`, with its label."""
    box = make("input", type="checkbox", name=name, value="yes", id=f"field-{name}")
    return make("p", box, make("label", label, for_=f"field-{name}"), class_="tick")


def hidden(name: str, value: object) -> Node:
    """Return a value that is sent with the form and not shown."""
    return make("input", type="hidden", name=name, value=str(value))


def button(text: str) -> Node:
    """Return a button that sends its form."""
    return make("button", text, type="submit")


def action(text: str, url: str, **values: object) -> Node:
    """Return a form of one button that sends hidden values."""
    return form(url, *(hidden(name, value) for name, value in values.items()), button(text))


def encode(fields: Iterable[tuple[str, str]]) -> str:
    """Return form fields as browsers send them: the WHATWG's urlencoded serialiser."""
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in fields)


def _escape(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return quote_plus(lines, safe="*").replace("~", "%7E")
