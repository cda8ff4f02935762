"""What goes to a site and what comes back; a site is a function from one to the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from agentgym_si.envs.sites.tree import Content, encode, paragraph
from agentgym_si.envs.sites.world import World

MOST_FIELD_CHARACTERS = 500
"""Longest value that a form takes; of a longer one the rest is dropped."""


@dataclass(frozen=True)
class Request:
    """What a browser asks of a site."""

    method: str
    """GET or POST."""
    url: str
    body: str = ""
    """Of a POST: the form's fields, urlencoded."""

    @property
    def host(self) -> str:
        """The site's name: `shop.test`."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """The path on the site, from its first `/`."""
        return urlsplit(self.url).path or "/"

    def fields(self) -> Mapping[str, str]:
        """Return the fields of the form that was sent, or of the URL; of one name the last."""
        sent = self.body if self.method == "POST" else urlsplit(self.url).query
        pairs = parse_qsl(sent, keep_blank_values=True, max_num_fields=None)
        return {name: " ".join(value.split())[:MOST_FIELD_CHARACTERS] for name, value in pairs}


class Page(NamedTuple):
    """A page to show: its title, and what stands under the site's own links."""

    title: str
    content: Sequence[Content]
    status: int = 200


class Redirect(NamedTuple):
    """Where a browser is sent after a form: a path of the same site, or a whole URL."""

    url: str


Answer = tuple[Page | Redirect, World]
"""What a site gives back, and the world after it."""

Handler = Callable[..., Page | Redirect | Answer]
"""`(world, fields, *parts of the path)`; a page or redirect alone leaves the world as it is."""


class Route(NamedTuple):
    """Which handler answers: a method, and a pattern that the whole path has to match."""

    method: str
    pattern: str
    handler: Handler


@dataclass(frozen=True)
class Site:
    """A site: its host, what it is called, the links that stand on every page, and its routes."""

    host: str
    title: str
    colour: str
    links: Sequence[tuple[str, str]]
    """Text and path."""
    routes: Sequence[Route]

    def answer(self, world: World, request: Request) -> Answer:
        """Return what a request gives; a page that does not exist is a page of status 404."""
        for method, pattern, handler in self.routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                given = handler(world, request.fields(), *match.groups())
                return (given, world) if isinstance(given, Page | Redirect) else given
        return missing(), world

    def url(self, path: str) -> str:
        """Return a path of the site as a whole URL."""
        return f"http://{self.host}{path}"


def missing(what: str = "page") -> Page:
    """Return the page for what does not exist."""
    return Page("Not found", (paragraph(f"There is no such {what}."),), 404)


def refuse(path: str, note: str) -> Redirect:
    """Return the way back to a form, which then says what was wrong."""
    return Redirect(f"{path}?{encode([('note', note)])}")


def note_of(fields: Mapping[str, str], notes: Mapping[str, str]) -> Content:
    """Return the line that a form's page shows for the `note` in its URL; None for no known one."""
    text = notes.get(fields.get("note", ""))
    return None if text is None else paragraph(text)


def number(text: str) -> int:
    """Return a whole number of at most nine digits, -1 for anything else."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else -1
