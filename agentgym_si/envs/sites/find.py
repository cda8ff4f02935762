"""find.test: the page that every site is linked from, and a search engine over the public ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agentgym_si.envs.sites.calendar import CALENDAR
from agentgym_si.envs.sites.forum import FORUM
from agentgym_si.envs.sites.mail import MAIL
from agentgym_si.envs.sites.requests import Page, Route, Site
from agentgym_si.envs.sites.shop import SHOP
from agentgym_si.envs.sites.travel import TRAVEL
from agentgym_si.envs.sites.tree import button, form, link, listing, paragraph, textbox
from agentgym_si.envs.sites.wiki import WIKI, path_of
from agentgym_si.envs.sites.world import World

LISTED = (SHOP, FORUM, WIKI, MAIL, CALENDAR, TRAVEL)

MOST_FOUND = 8

Fields = Mapping[str, str]


class Found(NamedTuple):
    """A page that the search engine knows."""

    title: str
    site: Site
    path: str
    words: str
    """All that is searched, in lower case."""


def known_pages(world: World) -> Iterator[Found]:
    """Yield every page of shop, forum and wiki; what is private is not searched."""
    for product in world.products:
        words = f"{product.name} {product.category}"
        yield Found(product.name, SHOP, f"/item/{product.number}", words.lower())
    for article in world.articles:
        values = " ".join(value for _, value in article.facts)
        words = f"{article.title} {article.kind} {values}"
        yield Found(article.title, WIKI, path_of(article.title), words.lower())
    for thread in world.threads:
        words = f"{thread.title} {thread.board} {thread.text}"
        yield Found(thread.title, FORUM, f"/thread/{thread.number}", words.lower())


def search(world: World, query: str) -> list[Found]:
    """Return the pages that hold most of the query's words, titles first, at most MOST_FOUND."""
    words = query.lower().split()
    ranked: list[tuple[int, int, Found]] = []
    for page in known_pages(world):
        held, title = set(page.words.split()), set(page.title.lower().split())
        score = 2 * sum(word in held for word in words) + sum(word in title for word in words)
        if score:
            ranked.append((-score, len(ranked), page))
    return [page for _, _, page in sorted(ranked)[:MOST_FOUND]]


def _home(_: World, __: Fields) -> Page:
    entries = listing(link(site.title, site.url("/")) for site in LISTED)
    box = form("/search", textbox("Search all sites", "q"), button("Search"), method="get")
    return Page("All sites", (box, entries))


def _search(world: World, fields: Fields) -> Page:
    found = listing(
        (link(page.title, page.site.url(page.path)), f" {page.site.title}")
        for page in search(world, fields.get("q", ""))
    )
    return Page("Pages found", (found or paragraph("Nothing was found."),))


FIND = Site(
    host="find.test",
    title="Lookup",
    colour="#334155",
    links=(),
    routes=(Route("GET", "/", _home), Route("GET", "/search", _search)),
)
