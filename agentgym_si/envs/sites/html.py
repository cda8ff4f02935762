"""A page's tree as an HTML document that reads well without scripts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from pathlib import Path

from agentgym_si.envs.sites.internet import Reply
from agentgym_si.envs.sites.tree import Node

VOID = frozenset(("input",))
URLS = ("href", "action")
"""Attributes that hold a URL."""


def document(reply: Reply, place: Callable[[str], str] = str, style: str = "") -> str:
    """Return a page as HTML; `place` says where a URL of the page is to be found.

    `style` is a style element of the caller's own, after the sites' own.
    """
    assert reply.body is not None
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(reply.title)}</title>"
        f"<style>:root{{--accent:{reply.colour}}}{_style()}</style>{style}</head>"
        f"{_html(reply.body, place)}</html>"
    )


def _html(node: Node, place: Callable[[str], str]) -> str:
    given = "".join(
        f' {name}="{escape(place(value) if name in URLS else value)}"'
        for name, value in node.attributes.items()
    )
    if node.tag in VOID:
        return f"<{node.tag}{given}>"
    inside = "".join(
        escape(child) if isinstance(child, str) else _html(child, place) for child in node.children
    )
    return f"<{node.tag}{given}>{inside}</{node.tag}>"


@functools.cache
def _style() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
