"""The plug-in interface of `agentgym_si/Tools-v0`: a domain is a database, tools and tasks.

    SHOP = Domain(
        name="shop",
        policy="Only pending orders may be cancelled.",
        schema="CREATE TABLE orders (number INT PRIMARY KEY, status TEXT NOT NULL);",
        fill=fill,              # (database, rng): put the first rows in
        tools=(cancel_order,),  # (database, order: int) -> JSON; raise ActionError to refuse
        kinds=(Kind(0, cancel, train=("Cancel order {order}.",), test=("Drop {order}.",)),),
    )
    gym.make("agentgym_si/Tools-v0", domains=["my_shop:SHOP"])

Time is data: whatever a domain calls today stands in its database or its policy.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.schemas import check_arguments, schema_of
from agentgym_si.errors import ActionError, BadInput, UnknownName

Step = Call | str
"""A call, or a text to the user: a question, or as the last step the answer."""

Tool = Callable[..., Any]
"""`(database, typed arguments) -> JSON or text`; its docstring and types make its schema."""

State = dict[str, list[tuple[Any, ...]]]
"""The rows of each table, in a fixed order."""


class Reply(NamedTuple):
    """What the user answers to a question in which one of `words` stands."""

    words: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Problem:
    """One drawn task: what is wanted, one way to do it, and ways that must earn nothing."""

    fields: Mapping[str, Any]
    """What the wording of the goal names."""
    steps: tuple[Step, ...]
    """A solution; the last step is the answer to the user."""
    says: tuple[str, ...] = ()
    """Values that the user has to be told."""
    unsaid: tuple[str, ...] = ()
    """Values of the same kind that were not asked for: whoever tells them too only lists."""
    replies: tuple[Reply, ...] = ()
    """What the user knows and leaves out of the goal."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """Tool to how many of its first calls are turned away with "busy, try again"."""
    wrong: tuple[tuple[Step, ...], ...] = ()
    """Plays that must earn nothing: the wrong target, twice what is wanted, against the policy."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The solution's calls."""
        return tuple(step for step in self.steps if isinstance(step, Call))


@dataclass(frozen=True)
class Kind:
    """A sort of task: how one is drawn from the filled database, and how its goal is worded."""

    level: int
    """Difficulty from 0."""
    draw: Callable[[sqlite3.Connection, np.random.Generator], Problem]
    """May also change the database, which is then the task's first state."""
    train: tuple[str, ...]
    """Wordings of the goal, with `{names}` of the problem's fields."""
    test: tuple[str, ...]
    """Wordings that are never trained on."""


def read_state(database: sqlite3.Connection) -> State:
    """Return every table's rows without the columns named `id`, sorted."""
    tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    return {
        table: database.execute(_rows_of(table, sql)).fetchall()
        for table, sql in database.execute(tables).fetchall()
    }


@functools.lru_cache(256)
def _rows_of(table: str, sql: str) -> str:
    """Return the query of a table's rows as states hold them."""
    database = open_database()
    database.execute(sql)
    columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    database.close()
    kept = ", ".join(f'"{column}"' for column in columns if column != "id")
    return f'SELECT {kept} FROM "{table}" ORDER BY {kept}'


@dataclass(frozen=True)
class Domain:
    """A world of its own: see the module's example. Raises BadInput where it cannot be one."""

    name: str
    """Begins the ids of its tasks."""
    policy: str
    """The rules that the agent is told and has to keep; tools need not enforce them."""
    schema: str
    """SQL that makes the tables. A column named `id` counts rows in the order of the calls and is
    left out where states are compared; whatever else refers to a row needs a key of its own."""
    fill: Callable[[sqlite3.Connection, np.random.Generator], None]
    """Puts the first rows in."""
    tools: tuple[Tool, ...]
    """Functions of the database and typed arguments."""
    kinds: tuple[Kind, ...]
    """Sorts of task, at every level from 0 up at least one."""
    held_out: bool = False
    """Whether all tasks are of the split `test-domain`: never trained on."""
    tasks: tuple[int, int] = (20, 10)
    """Tasks of each level: so many to train on, and so many to test on."""
    steps: tuple[int, int] = (4, 4)
    """Steps after which a task of level 0 is truncated, and how many more at each level."""
    few_tools: int = 2
    """Levels below this offer only the tools of known plays and two others; the rest offers all."""
    compared: Callable[[sqlite3.Connection], Any] = read_state
    """Returns what of two databases has to be equal; None of it may be drawn or counted up."""

    def __post_init__(self) -> None:
        """Check the name, the tools' names and types, and the levels."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise BadInput(f"expected a domain's name in lower-case letters, got {self.name!r}")
        names = [schema["name"] for schema in map(tool_schema, self.tools)]
        if len(set(names)) < len(names):
            raise BadInput(f"expected tools of different names in domain {self.name}, got {names}")
        levels = sorted({kind.level for kind in self.kinds})
        if not levels or levels != list(range(len(levels))):
            raise BadInput(f"expected kinds of levels 0, 1, … in domain {self.name}, got {levels}")

    def tool(self, name: str) -> Tool:
        """Return the tool of that name; raises UnknownName."""
        for function in self.tools:
            if function.__name__ == name:
                return function
        raise UnknownName("tool", name, [tool.__name__ for tool in self.tools], where=self.name)


@functools.cache
def tool_schema(function: Tool) -> dict[str, Any]:
    """Return a tool's JSON schema, its first parameter (the database) left out."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]

    @functools.wraps(function)
    def called_by_name(**arguments: Any) -> Any:
        return function(**arguments)

    called_by_name.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return schema_of(called_by_name)


# The database ---------------------------------------------------------------------------


def open_database(image: bytes = b"") -> sqlite3.Connection:
    """Return a database in memory, with the content of `image` (`Connection.serialize`)."""
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if image:
        database.deserialize(image)
    database.execute("PRAGMA foreign_keys = ON")
    return database


@functools.cache
def empty_image(schema: str) -> bytes:
    """Return the image of a database with empty tables."""
    database = open_database()
    database.executescript(schema)
    image = database.serialize()
    database.close()
    return image


def carry_out(database: sqlite3.Connection, function: Tool, arguments: Mapping[str, Any]) -> str:
    """Call a tool as one transaction; return its result as text, JSON where it is no text.

    Raises ActionError for arguments that do not fit the schema, where the tool refuses, and for
    rows that the tables' constraints forbid. Whatever is raised, the database is as it was.
    """
    arguments = check_arguments(arguments, tool_schema(function)["parameters"], function.__name__)
    database.execute("SAVEPOINT call")
    try:
        result = function(database, **arguments)
        text = result if isinstance(result, str) else _compact(result)
    except BaseException as error:
        database.execute("ROLLBACK TO call")
        database.execute("RELEASE call")
        if isinstance(error, sqlite3.IntegrityError | OverflowError):
            raise ActionError(f"{function.__name__}: {error}") from error
        raise
    database.execute("RELEASE call")
    return text


def rows(database: sqlite3.Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    """Return the rows of a query, each as column to value."""
    cursor = database.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def row(database: sqlite3.Connection, query: str, *values: Any, missing: str) -> dict[str, Any]:
    """Return the first row of a query; raises ActionError(`missing`) where there is none."""
    found = rows(database, query, *values)
    if not found:
        raise ActionError(missing)
    return found[0]


def pick(rng: np.random.Generator, choices: Sequence[Any], count: int = 1) -> list[Any]:
    """Draw `count` different members."""
    return [choices[index] for index in rng.permutation(len(choices))[:count]]


def others(value: str, values: Sequence[Any]) -> tuple[str, ...]:
    """Return the different `values` as texts without `value`: what must not be told with it."""
    return tuple(sorted({str(other) for other in values} - {value}))


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
