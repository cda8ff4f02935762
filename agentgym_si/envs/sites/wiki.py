"""wiki.test: articles of facts that link to each other, a search, and an edit form."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_si.envs.sites.requests import (
    Answer,
    Page,
    Redirect,
    Route,
    Site,
    missing,
    note_of,
    refuse,
)
from agentgym_si.envs.sites.tree import (
    Content,
    button,
    choice,
    form,
    link,
    listing,
    paragraph,
    textbox,
)
from agentgym_si.envs.sites.world import Article, World, swap

NOTES = {"value": "Please give a fact of this article and its new value."}

Fields = Mapping[str, str]


def path_of(title: str) -> str:
    """Return an article's path."""
    return f"/article/{title.replace(' ', '-')}"


def article_of(world: World, title: str) -> Article | None:
    """Return the article of a title, None where there is none."""
    return next((article for article in world.articles if article.title == title), None)


def _home(world: World, _: Fields) -> Page:
    kinds = dict.fromkeys(article.kind for article in world.articles)
    box = form("/search", textbox("Search the wiki", "q"), button("Search"), method="get")
    return Page("Open Wiki", (listing(link(kind, f"/kind/{kind}") for kind in kinds), box))


def _kind(world: World, _: Fields, kind: str) -> Page:
    found = [article for article in world.articles if article.kind == kind]
    return Page(kind, (_articles(found),)) if found else missing("list")


def _search(world: World, fields: Fields) -> Page:
    words = fields.get("q", "").lower().split()
    found = [
        article
        for article in world.articles
        if words and all(word in _text_of(article) for word in words)
    ]
    return Page("Articles found", (_articles(found) or paragraph("Nothing was found."),))


def _text_of(article: Article) -> str:
    values = " ".join(value for _, value in article.facts)
    return f"{article.title} {values}".lower()


def _articles(articles: list[Article]) -> Content:
    return listing(link(article.title, path_of(article.title)) for article in articles)


def _article(world: World, _: Fields, slug: str) -> Page:
    article = article_of(world, slug.replace("-", " "))
    if article is None:
        return missing("article")
    entries = listing(_fact(world, name, value) for name, value in article.facts)
    return Page(article.title, (entries, link("Edit", f"/edit/{slug}")))


def _fact(world: World, name: str, value: str) -> tuple[Content, ...]:
    if article_of(world, value) is None:
        return (f"{name}: {value}",)
    return f"{name}: ", link(value, path_of(value))


def _edit(world: World, fields: Fields, slug: str) -> Page:
    article = article_of(world, slug.replace("-", " "))
    if article is None:
        return missing("article")
    boxes = (
        choice("Fact", "fact", [name for name, _ in article.facts]),
        textbox("New value", "value"),
    )
    return Page(
        f"Edit {article.title}",
        (note_of(fields, NOTES), form(f"/edit/{slug}", *boxes, button("Save"))),
    )


def _save(world: World, fields: Fields, slug: str) -> Redirect | Answer:
    article = article_of(world, slug.replace("-", " "))
    if article is None:
        return Redirect("/")
    fact, value = fields.get("fact", ""), fields.get("value", "")
    if not (article.fact(fact) and value):
        return refuse(f"/edit/{slug}", "value")
    changed = article._replace(
        facts=tuple((name, value if name == fact else old) for name, old in article.facts)
    )
    articles = swap(world.articles, article, changed)
    return Redirect(path_of(article.title)), world.change(articles=articles)


WIKI = Site(
    host="wiki.test",
    title="Open Wiki",
    colour="#1d4ed8",
    links=(("Open Wiki", "/"),),
    routes=(
        Route("GET", "/", _home),
        Route("GET", "/kind/([A-Za-z]+)", _kind),
        Route("GET", "/search", _search),
        Route("GET", "/article/([A-Za-z-]+)", _article),
        Route("GET", "/edit/([A-Za-z-]+)", _edit),
        Route("POST", "/edit/([A-Za-z-]+)", _save),
    ),
)
