"""The site of `webevolver.py`: static pages in which the way to a thing has to be known.

A home page links to categories, a category to things; nothing on a page says which words lead
where. A goal names a thing, after a clue word of its category. Where a name leads can only be
learned by walking, as on a real site whose menu one does not know. The first queries call things by
nicknames, each used once: who learns from them knows the clue words, and of a name not met before
that it may be behind any link. The folder is given
to `agentgym_si/Sites-v0` as `sites=`; each page tells the environment that it is open, and a task
is solved where the wanted page is open as the agent says that it is done. Everything is drawn from
one seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agentgym_si.envs.web.snapshot import read_page
from agentgym_si.policies.base import History
from agentgym_si.search.lookahead import ends_episode
from agentgym_si.types import Trajectory

SYLLABLES = (
    *("ba", "be", "co", "cu", "da", "di", "fa", "fu", "ga", "go", "ke", "ki", "le", "lo"),
    *("mi", "mu", "na", "no", "pe", "pu", "ra", "ru", "sa", "su", "te", "to", "vi", "vo"),
)

PAGE = (
    "<!doctype html><title>{title}</title><h1>{title}</h1>{links}<script>"
    "var r=new XMLHttpRequest();r.open('PUT','/api/state',false);"
    'r.send(\'{{"page":"{page}"}}\')</script>'
)

SITE = "guide"

SIZES = (5, 8, 5)
"""Categories, things in each of them, and clue words of each."""

QUERIES = {"warm": 250, "train": 60, "test": 120}
"""By part: those that the oracle shows, those to train on, those held out."""


@dataclass(frozen=True)
class World:
    """Names and clue words of one seed."""

    categories: tuple[str, ...]
    """(C,) what the home page's links say."""
    shelves: tuple[str, ...]
    """(S,) what the links of every category say."""
    things: tuple[tuple[str, ...], ...]
    """(C, S) the thing behind each link of each category."""
    clues: tuple[tuple[str, ...], ...]
    """(C, W) words that describe a category."""
    nicknames: tuple[str, ...] = ()
    """(N,) names that no page shows, each for one query."""


@dataclass(frozen=True)
class Query:
    """One goal, and the way to it."""

    category: int
    shelf: int
    word: int
    """Which clue word is said of the category."""
    nickname: str = ""
    """What the thing is called; "" for the name on its page."""


def draw_world(seed: int, categories: int, shelves: int, words: int, nicknames: int = 0) -> World:
    """Return a world of `categories` x `shelves` things with `words` clue words a category."""
    rng = np.random.default_rng([seed, 0])
    names = _names(rng)
    return World(
        tuple(next(names) for _ in range(categories)),
        tuple(next(names) for _ in range(shelves)),
        tuple(tuple(next(names) for _ in range(shelves)) for _ in range(categories)),
        tuple(tuple(next(names) for _ in range(words)) for _ in range(categories)),
        tuple(next(names) for _ in range(nicknames)),
    )


def draw_queries(world: World, seed: int, train: int, test: int) -> list[list[Query]]:
    """Return lists of queries: one a nickname, `train` to train on, `test` held out.

    Those to train on and those held out are of names that pages show, and do not overlap.
    """
    rng = np.random.default_rng([seed, 1])
    every = [
        Query(category, shelf, word)
        for category in range(len(world.categories))
        for shelf in range(len(world.shelves))
        for word in range(len(world.clues[0]))
    ]
    warm = [replace(every[rng.integers(len(every))], nickname=name) for name in world.nicknames]
    order = [every[index] for index in rng.permutation(len(every))]
    return [warm, order[:train], order[train : train + test]]


def write_site(folder: Path, world: World, parts: Mapping[str, Sequence[Query]]) -> Path:
    """Write pages and tasks; return the folder to give to `Sites-v0`.

    `parts` are queries by name; all but those of "test" are of the split "train".
    """
    site = folder / SITE
    site.mkdir(parents=True, exist_ok=True)
    home = _links((name, f"{index}") for index, name in enumerate(world.categories))
    _write(site, "index", "home", home)
    for index, category in enumerate(world.categories):
        links = _links((name, f"{index}-{shelf}") for shelf, name in enumerate(world.shelves))
        _write(site, f"{index}", category, links)
        for shelf, thing in enumerate(world.things[index]):
            _write(site, f"{index}-{shelf}", thing, "")
    entries = [
        _entry(world, part, number, query)
        for part, queries in parts.items()
        for number, query in enumerate(queries)
    ]
    (site / "tasks.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")
    return site


def task_ids(part: str, count: int) -> list[str]:
    """Return the ids that the environment gives the part's tasks."""
    return [f"{SITE}-tasks-{part}-{number}" for number in range(count)]


def found(trajectory: Trajectory) -> float:
    """Say whether the wanted page was open as the agent said that it is done: a checker.

    It reads the goal and the page alone, so it can judge imagined episodes too.
    """
    last = trajectory.transitions[-1]
    page = read_page(last.observation)
    titled = bool(page.elements) and page.elements[0].name == page.goal.split()[-1]
    return float(titled and ends_episode(History(("",)), last.action.text))


def on_the_way(trajectory: Trajectory) -> float:
    """Score a look ahead: 1 where the wanted page is open at its end, else 0."""
    page = read_page(trajectory.final_observation)
    return float(bool(page.elements) and page.elements[0].name == page.goal.split()[-1])


def _entry(world: World, part: str, number: int, query: Query) -> dict[str, object]:
    clue = world.clues[query.category][query.word]
    name = query.nickname or world.things[query.category][query.shelf]
    return {
        "id": f"{part}-{number}",
        "instruction": f"{clue} {name}",
        "split": "test" if part == "test" else "train",
        "state": {"page": f"{query.category}-{query.shelf}"},
        "solution": [
            f"click [{query.category + 2}]",
            f"click [{query.shelf + 2}]",
            "stop [done]",
        ],
    }


def _write(site: Path, page: str, title: str, links: str) -> None:
    html = PAGE.format(title=title, links=links, page=page)
    (site / f"{page}.html").write_text(html, encoding="utf-8")


def _links(entries: Iterator[tuple[str, str]]) -> str:
    return "".join(f'<p><a href="/{page}.html">{name}</a></p>' for name, page in entries)


def _names(rng: np.random.Generator) -> Iterator[str]:
    seen: set[str] = set()
    while True:
        name = "".join(SYLLABLES[index] for index in rng.integers(len(SYLLABLES), size=2))
        if name not in seen:
            seen.add(name)
            yield name
