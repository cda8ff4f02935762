"""The retail domain of τ-bench (arXiv 2406.12045), from a folder of the benchmark's own files.

    gym.make("agentgym_si/Tools-v0", domains=[tau_retail("tau_bench_v1")])

Database, policy and tasks are the benchmark's; the tools are written anew and give the official
observations. The user's instruction is the goal, and the user agrees to what is asked: there is no
second model. What the agent has to say (`outputs`) is judged by our rule, which is stricter: whole
tokens, and no lists. A task without actions, of which there is one among the 520, is earned by
doing nothing.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, open_database
from agentgym_si.envs.tools.tau_retail_tools import TOOLS
from agentgym_si.errors import BadInput

SCHEMA = """
CREATE TABLE users (key TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE orders (key TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE products (key TEXT PRIMARY KEY, content TEXT NOT NULL);
"""

AGREES = Reply(("confirm", "proceed", "yes", "correct", "agree", "okay", "right"), "Yes.")


def tau_retail(folder: str | Path) -> Domain:
    """Return the domain; its tasks to train on are the 500 of `train`, to test on the 20 of `dev`.

    Args:
        folder: with `retail_db`, `retail_policy.md` and `retail_tasks_{train,dev}.json`.

    Raises:
        BadInput: a file is missing or is not what it should be.
    """
    folder = Path(folder)
    try:
        image = _fill_image(folder / "retail_db")
        tasks = [_read(folder / f"retail_tasks_{split}.json") for split in ("train", "dev")]
        policy = (folder / "retail_policy.md").read_text(encoding="utf-8")
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"expected τ-bench's retail files in {folder}: {error}") from error

    def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
        database.deserialize(image)

    return Domain(
        name="tau_retail",
        policy=policy,
        schema=SCHEMA,
        fill=fill,
        tools=TOOLS,
        kinds=tuple(_kind(task) for split in tasks for task in split),
        tasks=(len(tasks[0]), len(tasks[1])),
        steps=(30, 0),
        few_tools=0,
        compared=compared,
    )


def compared(database: sqlite3.Connection) -> dict[str, Any]:
    """Return the content of all tables; the order of an object's keys does not count."""
    return {
        table: {
            key: _parsed(content)
            for key, content in database.execute(f"SELECT key, content FROM {table}")
        }
        for table in ("orders", "products", "users")
    }


def _kind(task: dict[str, Any]) -> Kind:
    goal = task["instruction"].replace("{", "{{").replace("}", "}}")
    return Kind(0, _draw(task), train=(goal,), test=(goal,))


def _draw(task: dict[str, Any]) -> Callable[[sqlite3.Connection, np.random.Generator], Problem]:
    calls = tuple(Call(action["name"], action["kwargs"]) for action in task["actions"])

    def official(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
        outputs = tuple(output.replace(",", "") for output in task["outputs"])
        return Problem(
            fields={},
            steps=(*calls, " ".join(outputs) or "done"),
            says=outputs,
            replies=(AGREES,),
            wrong=tuple(_without(calls)),
        )

    return official


def _without(calls: tuple[Call, ...]) -> Iterable[tuple[Call, ...]]:
    """Yield the plays that leave the last call out, or make it for an order that is not there."""
    if calls:
        last = calls[-1]
        yield calls[:-1]
        if "order_id" in last.arguments:
            yield (*calls[:-1], Call(last.name, {**last.arguments, "order_id": "#W0"}))


def _fill_image(folder: Path) -> bytes:
    database = open_database()
    database.executescript(SCHEMA)
    for table in ("users", "orders", "products"):
        entries = _read(folder / f"{table}.json").items()
        rows = [(key, json.dumps(content)) for key, content in entries]
        database.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
    image = database.serialize()
    database.close()
    return image


@functools.lru_cache(1 << 14)  # nearly all rows are as they were in the episode before
def _parsed(content: str) -> Any:
    return json.loads(content)


@functools.lru_cache(8)
def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
