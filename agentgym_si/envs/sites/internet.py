"""All sites together: who answers a request, and the page around what a site gives."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urljoin

from agentgym_si.envs.sites.find import FIND, LISTED
from agentgym_si.envs.sites.requests import Page, Redirect, Request, Site
from agentgym_si.envs.sites.tree import Node, heading, link, make
from agentgym_si.envs.sites.world import World

SITES = {site.host: site for site in (FIND, *LISTED)}
"""Every site by its host."""

HOME = FIND.url("/")
"""Where an episode begins that is not about one site."""


class Reply(NamedTuple):
    """What a browser is given: a page's body, or where to go."""

    title: str
    body: Node | None
    status: int
    location: str = ""
    colour: str = ""


def answer(world: World, request: Request) -> tuple[Reply, World]:
    """Return what a request to a known host gives, and the world after it.

    A function of its arguments alone. GET never changes the world.
    """
    site = SITES[request.host]
    given, after = site.answer(world, request)
    if isinstance(given, Redirect):
        return Reply("", None, 303, urljoin(request.url, given.url)), after
    return Reply(given.title, _body(site, given), given.status, colour=site.colour), after


def _body(site: Site, page: Page) -> Node:
    links = [link(text, path) for text, path in site.links]
    everywhere = link("All sites", HOME)
    return make(
        "body",
        make("nav", *links, everywhere),
        make("main", heading(page.title), *page.content),
    )
