"""A page's tree as the rows that the browser's own snapshot gives (`envs/web/scripts/snapshot.js`).

The rules are those of the page script, as far as our pages need them: controls and texts in
document order, a label's text is the name of its control, what stands in one line is one text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentgym_si.envs.sites.tree import Node

ROLES = {"a": "link", "button": "button", "textarea": "textarea", "select": "combobox"}
INPUTS = {"text": "textbox", "checkbox": "checkbox", "hidden": ""}
INLINE = frozenset(("label", "b", "span"))


class Row(NamedTuple):
    """A line of the page: a control with its node and form, or a text."""

    role: str
    name: str
    node: Node | None = None
    form: Node | None = None


def role_of(node: Node) -> str:
    """Return a control's role, "" for what is none."""
    if node.tag == "input":
        return INPUTS[node.attributes["type"]]
    return ROLES.get(node.tag, "")


def rows_of(body: Node) -> list[Row]:
    """Return a page's rows."""
    labels = {
        node.attributes["for"]: _collapse(node.text())
        for node in descendants(body)
        if node.tag == "label"
    }
    return list(_walk(body, None, labels))


def descendants(node: Node) -> Iterator[Node]:
    """Yield every node below one, in document order."""
    for child in node.children:
        if isinstance(child, Node):
            yield child
            yield from descendants(child)


def _walk(node: Node, form: Node | None, labels: dict[str, str]) -> Iterator[Row]:
    role = role_of(node)
    if role:
        name = labels.get(node.attributes.get("id", "")) or _collapse(node.text())
        yield Row(role, name, node, form)
    elif node.tag not in ("label", "input"):
        if node.children and _is_line(node):
            yield from _text(node.text())
            return
        for child in node.children:
            if isinstance(child, str):
                yield from _text(child)
            else:
                yield from _walk(child, node if node.tag == "form" else form, labels)


def _text(text: str) -> Iterator[Row]:
    shown = _collapse(text)
    if shown:
        yield Row("text", shown)


def _is_line(node: Node) -> bool:
    return all(
        isinstance(child, str) or (child.tag in INLINE and _is_line(child))
        for child in node.children
    )


def _collapse(text: str) -> str:
    return " ".join(text.split())
