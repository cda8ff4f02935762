"""Goals on wiki.test."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import back, choose, click, fill, give_up, say
from agentgym_si.envs.sites.wiki import WIKI, article_of, path_of
from agentgym_si.envs.sites.world import Article, World, swap
from agentgym_si.envs.tools.domain import pick

HOME = WIKI.url("/")


def _some(world: World, rng: np.random.Generator, kind: str) -> list[Article]:
    """Return the articles of a kind in random order."""
    found = [article for article in world.articles if article.kind == kind]
    return pick(rng, found, len(found))


def _article(world: World, title: str) -> Article:
    found = article_of(world, title)
    assert found is not None
    return found


def _any(world: World, rng: np.random.Generator) -> tuple[Article, Article]:
    """Draw an article, and another of its kind."""
    article = pick(rng, world.articles)[0]
    rest = [other for other in _some(world, rng, article.kind) if other is not article]
    return article, rest[0]


def open_article(world: World, rng: np.random.Generator) -> Problem:
    """Open an article."""
    article, other = _any(world, rng)
    return Problem(
        world,
        {"title": article.title},
        (click(article.title),),
        start=WIKI.url(f"/kind/{article.kind}"),
        page=WIKI.url(path_of(article.title)),
        wrong=((click(other.title),),),
    )


def read_fact(world: World, rng: np.random.Generator) -> Problem:
    """Say a fact of the article that is shown."""
    article = pick(rng, world.articles)[0]
    (name, value), *rest = pick(rng, article.facts, len(article.facts))
    wrong = rest[0][1]
    return Problem(
        world,
        {"fact": name.lower()},
        (say(value),),
        start=WIKI.url(path_of(article.title)),
        says=(value,),
        unsaid=others(value, [other for _, other in rest]),
        seen=(value,),
        wrong=((say(wrong),), (say(f"{value} {wrong}"),)),
    )


def ask_fact(world: World, rng: np.random.Generator) -> Problem:
    """Find an article in its list and say a fact of it."""
    article, other = _any(world, rng)
    (name, value), *rest = pick(rng, article.facts, len(article.facts))
    return Problem(
        world,
        {"fact": name.lower(), "title": article.title},
        (click(article.title), say(value)),
        start=WIKI.url(f"/kind/{article.kind}"),
        says=(value,),
        unsaid=others(value, [other for _, other in rest]),
        seen=(value,),
        wrong=((click(other.title), say(rest[0][1])), (click(article.title), say(rest[0][1]))),
    )


def search(world: World, rng: np.random.Generator) -> Problem:
    """Search for an article and open it."""
    article, other = _any(world, rng)
    box = "Search the wiki"
    return Problem(
        world,
        {"title": article.title},
        (fill(box, article.title), click("Search"), click(article.title)),
        start=HOME,
        page=WIKI.url(path_of(article.title)),
        wrong=((fill(box, other.title), click("Search"), click(other.title)),),
    )


def ask_capital(world: World, rng: np.random.Generator) -> Problem:
    """Say a fact of a country's capital."""
    country, other = _some(world, rng, "Countries")
    capital = _article(world, country.fact("Capital"))
    name = pick(rng, ["Population", "Founded", "Mayor"])[0]
    value, wrong = capital.fact(name), _article(world, other.fact("Capital")).fact(name)
    look = (click("Countries"), click(country.title), click(capital.title))
    towns = [town.fact(name) for town in _some(world, rng, "Towns")]
    return Problem(
        world,
        {"country": country.title, "fact": name.lower()},
        (*look, say(value)),
        start=HOME,
        says=(value,),
        unsaid=others(value, [*towns, country.fact("Population")]),
        seen=(capital.title, value),
        wrong=((*look, say(wrong)), (*look[:2], say(country.fact("Population")))),
    )


def edit(world: World, rng: np.random.Generator) -> Problem:
    """Change a fact of the article that is shown."""
    article = pick(rng, _some(world, rng, "Towns"))[0]
    year, wrong = map(str, pick(rng, range(1100, 1900), 2))
    go, save = click("Edit"), click("Save")
    return Problem(
        world,
        {"value": year},
        (go, choose("Fact", "Founded"), fill("New value", year), save),
        start=WIKI.url(path_of(article.title)),
        wrong=(
            (go, choose("Fact", "Founded"), fill("New value", wrong), save),
            (go, fill("New value", year), save),
        ),
    )


def ask_mayor_work(world: World, rng: np.random.Generator) -> Problem:
    """Say what a town's mayor works as."""
    town, *_ = _some(world, rng, "Towns")
    mayor = _article(world, town.fact("Mayor"))
    work = [person.fact("Work") for person in _some(world, rng, "People")]
    value = mayor.fact("Work")
    look = (click("Towns"), click(town.title), click(mayor.title))
    return Problem(
        world,
        {"town": town.title},
        (*look, say(value)),
        start=HOME,
        says=(value,),
        unsaid=others(value, [*work, mayor.fact("Born"), mayor.fact("Home")]),
        seen=(mayor.title, value),
        wrong=((*look, say(others(value, work)[0])), (*look, say(" ".join(work)))),
    )


def ask_older(world: World, rng: np.random.Generator) -> Problem:
    """Say when the older of two towns was founded."""
    older, younger = sorted(
        _some(world, rng, "Towns")[:2], key=lambda town: int(town.fact("Founded"))
    )
    first, second = pick(rng, (older, younger), 2)
    look = (click("Towns"), click(first.title), back(), click(second.title))
    years = [town.fact("Founded") for town in (older, younger)]
    return Problem(
        world,
        {"first": first.title, "second": second.title},
        (*look, say(years[0])),
        start=HOME,
        says=(years[0],),
        unsaid=(years[1],),
        seen=tuple(years),
        wrong=((*look, say(years[1])), (*look, say(" ".join(years)))),
    )


def no_such_fact(world: World, rng: np.random.Generator) -> Problem:
    """Say that an article does not tell it."""
    town, other, *_ = _some(world, rng, "Towns")
    kept = tuple(pair for pair in town.facts if pair[0] != "Founded")
    articles = swap(world.articles, town, town._replace(facts=kept))
    look = (click("Towns"), click(town.title))
    return Problem(
        world.change(articles=articles),
        {"title": town.title},
        (*look, give_up("not told")),
        start=HOME,
        infeasible=True,
        seen=(f"Population: {town.fact('Population')}",),
        wrong=((*look, say("not told")), (*look, say(other.fact("Founded")))),
    )


KINDS = (
    Kind(
        "wiki",
        0,
        open_article,
        ('Open the article "{title}".', 'Show me the article on "{title}".'),
        ('I want to read about "{title}".',),
    ),
    Kind(
        "wiki",
        0,
        read_fact,
        ("Say the {fact} that this article tells.", "What does it say here for {fact}?"),
        ("Read me the {fact} on this page.",),
    ),
    Kind(
        "wiki",
        1,
        ask_fact,
        ('Say the {fact} in the article "{title}".', 'What does "{title}" have for {fact}?'),
        ('Look "{title}" up and tell me the {fact}.',),
    ),
    Kind(
        "wiki",
        1,
        search,
        ('Search for "{title}" and open its article.', 'Find the article "{title}".'),
        ('Take me to what the wiki has on "{title}".',),
    ),
    Kind(
        "wiki",
        2,
        ask_capital,
        ("Say the {fact} of the capital of {country}.", "{country}: its capital's {fact}?"),
        ("Look up the {fact} of the town that {country} is ruled from.",),
    ),
    Kind(
        "wiki",
        2,
        edit,
        (
            'Change the fact "Founded" of this article to "{value}".',
            'Here, set "Founded" to "{value}".',
        ),
        ('This town was founded in "{value}": correct the article.',),
    ),
    Kind(
        "wiki",
        2,
        ask_mayor_work,
        ("What is the work of the mayor of {town}?", "The mayor of {town} works as what?"),
        ("How does the one who rules {town} earn a living?",),
    ),
    Kind(
        "wiki",
        2,
        ask_older,
        ("In which year was the older of {first} and {second} founded?",),
        ("{first} or {second}: tell me the year in which the first of them was founded.",),
        held_out=True,
    ),
    Kind(
        "wiki",
        2,
        no_such_fact,
        ("In which year was {title} founded?",),
        ("Tell me the year in which {title} was founded.",),
        held_out=True,
    ),
)
