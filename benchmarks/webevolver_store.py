"""The tools of `webevolver.py`: a store whose shelves have to be looked at to know what they hold.

A domain of `agentgym_si/Tools-v0`. The user asks for the price of an item, after a clue word of
its room; nothing says which clue word means which room, nor on which of its shelves an item is.
`look` shows what is on one shelf, with its price. A task is solved where the user was told the
item's price: it can be had by looking at the right shelf alone, and has to be copied from there.
Names, clue words and queries are those of `webevolver_world`: a category is a room. The first
queries call items by nicknames, each used once: who learns from them knows the clue words, and of
an item not met before that it may be on any shelf of the room.

The domain of a seed is `webevolver_store:seed_N`.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from webevolver_world import QUERIES, SIZES, Query, World, draw_queries, draw_world

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.answers import tells
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, others, row
from agentgym_si.policies.base import History
from agentgym_si.search.lookahead import ends_episode
from agentgym_si.types import Trajectory

SCHEMA = """
CREATE TABLE shelves (
    room TEXT NOT NULL, shelf TEXT NOT NULL, item TEXT NOT NULL, price INT NOT NULL,
    PRIMARY KEY (room, shelf)
);
"""

Room = Annotated[str, {"description": "name of the room"}]
Shelf = Annotated[str, {"description": "name of the shelf, the same in every room"}]


def look(database: sqlite3.Connection, room: Room, shelf: Shelf) -> dict[str, Any]:
    """Show which item is on a shelf, and its price."""
    query = "SELECT item, price FROM shelves WHERE room = ? AND shelf = ?"
    return row(database, query, room, shelf, missing=f"no shelf {shelf} in {room}")


@functools.cache
def store(seed: int) -> Domain:
    """Return the store of a seed, with a kind of task for each query."""
    world = draw_world(seed, *SIZES, nicknames=QUERIES["warm"])
    warm, train, test = draw_queries(world, seed, QUERIES["train"], QUERIES["test"])
    rooms, shelves, _ = SIZES
    numbers = 10 + np.random.default_rng([seed, 2]).permutation(90)[: rooms * shelves]
    prices = numbers.reshape(rooms, shelves).tolist()

    def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
        database.executemany(
            "INSERT INTO shelves VALUES (?, ?, ?, ?)",
            [
                (world.categories[room], world.shelves[shelf], item, prices[room][shelf])
                for room, items in enumerate(world.things)
                for shelf, item in enumerate(items)
            ],
        )

    return Domain(
        name="store",
        policy="An item is on one shelf of one room.",
        schema=SCHEMA,
        fill=fill,
        tools=(look,),
        kinds=tuple(_kind(world, prices, query) for query in (*warm, *train, *test)),
        tasks=(len(warm) + len(train), len(test)),
        few_tools=0,
    )


def _kind(world: World, prices: list[list[int]], query: Query) -> Kind:
    clue = world.clues[query.category][query.word]
    item = query.nickname or world.things[query.category][query.shelf]
    price = str(prices[query.category][query.shelf])
    beside = (query.shelf + 1) % len(world.shelves)

    def at(shelf: int) -> Call:
        names = {"room": world.categories[query.category], "shelf": world.shelves[shelf]}
        return Call("look", names)

    def draw(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
        return Problem(
            fields={},
            steps=(at(query.shelf), price),
            says=(price,),
            unsaid=others(price, [other for room in prices for other in room]),
            wrong=((at(beside), str(prices[query.category][beside])),),
        )

    goal = (f"price of {clue} {item}",)
    return Kind(0, draw, train=goal, test=goal)


def task_ids() -> dict[str, list[str]]:
    """Return the ids that the environment gives the tasks of each part."""
    found, first = {}, 0
    for part, count in QUERIES.items():
        found[part] = [f"store-l0-{number:04d}" for number in range(first, first + count)]
        first += count
    return found


def told(trajectory: Trajectory) -> float:
    """Say whether the user was told the price that a look showed for the item: a checker.

    It reads the dialogue alone, so it can judge imagined episodes too.
    """
    *looks, last = trajectory.transitions
    if not looks or not ends_episode(History(("",), tools=trajectory.tools), last.action.text):
        return 0.0
    shown = _shown(last.observation)
    price = str(shown.get("price", ""))
    found = shown.get("item") == _asked(trajectory) and bool(price)
    return float(found and tells(last.action.text, [price], (), ""))


def on_the_way(trajectory: Trajectory) -> float:
    """Score a look ahead: 1 where the item is seen at its end, else 0."""
    last = trajectory.transitions[-1]
    seen = [_shown(trajectory.final_observation), _shown(last.observation)]
    return float(any(one.get("item") == _asked(trajectory) for one in seen))


def _asked(trajectory: Trajectory) -> str:
    """Return the item that the user, who speaks first, asks for."""
    return trajectory.transitions[0].observation.split()[-1]


def _shown(observation: str) -> Mapping[str, Any]:
    try:
        shown = json.loads(observation)
    except ValueError:
        return {}
    return shown if isinstance(shown, dict) else {}


def __getattr__(name: str) -> Domain:
    """Return the store that `seed_N` names: how a config names one."""
    word, _, number = name.partition("_")
    if word != "seed" or not number.isdecimal():  # pkgutil.resolve_name asks for others too
        raise AttributeError(f"module {__name__} has no {name}")
    return store(int(number))
