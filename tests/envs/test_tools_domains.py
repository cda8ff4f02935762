"""Guards the domains: every tool against any arguments, transactions, and a domain of one's own."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgym_si.audit import audit
from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.tools.domain import (
    Domain,
    Kind,
    Problem,
    Tool,
    carry_out,
    open_database,
    read_state,
    row,
    tool_schema,
)
from agentgym_si.envs.tools.env import DOMAINS, ToolsEnv, find_domain
from agentgym_si.errors import ActionError
from agentgym_si.testing import check_env

TOOLS = [
    pytest.param(domain, tool, id=f"{name}-{tool.__name__}")
    for name in DOMAINS
    for domain in [find_domain(name)]
    for tool in domain.tools
]
NASTY = st.sampled_from(
    [
        "",
        "'; DROP TABLE orders; --",
        "x' OR '1'='1",
        "%",
        "_",
        "\x00",
        "a/b",
        "\U00010000",
        "9" * 400,
        "NULL",
    ]
)


def filled(domain: Domain) -> sqlite3.Connection:
    database = open_database()
    database.executescript(domain.schema)
    domain.fill(database, np.random.default_rng(5))
    return database


def arguments_of(tool: Tool, database: sqlite3.Connection) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments: of the right types mostly, values of the database among them."""
    cells = {cell for rows in read_state(database).values() for row in rows for cell in row}
    texts = sorted(cell for cell in cells if isinstance(cell, str))
    numbers = sorted(cell for cell in cells if isinstance(cell, int))
    values: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(texts) | st.text() | NASTY,
        "integer": st.sampled_from(numbers) | st.integers(-(2**63), 2**63 - 1),
    }
    anything = st.none() | st.booleans() | st.floats(allow_nan=False) | st.lists(st.text())
    entries = {}
    for name, entry in tool_schema(tool)["parameters"]["properties"].items():
        right = st.sampled_from(entry["enum"]) if "enum" in entry else values[entry["type"]]
        entries[name] = right | right | right | anything
    return st.fixed_dictionaries({}, optional=entries) | st.fixed_dictionaries(entries)


@pytest.mark.parametrize(("domain", "tool"), TOOLS)
def test_a_tool_takes_anything_and_leaves_nothing_half_written(domain: Domain, tool: Tool) -> None:
    """An exception that escapes, a row of a call that failed, text that is run as SQL."""
    first = filled(domain)
    image, tables = first.serialize(), set(read_state(first))

    @settings(max_examples=15)
    @given(arguments_of(tool, first))
    def call(arguments: dict[str, Any]) -> None:
        database = open_database(image)
        before = read_state(database)
        try:
            json.dumps(carry_out(database, tool, arguments))
        except ActionError:
            assert read_state(database) == before
        assert set(read_state(database)) == tables
        assert not database.in_transaction
        assert not database.execute("PRAGMA foreign_key_check").fetchall()
        database.close()

    call()
    first.close()


@settings(max_examples=40)
@given(action=st.text() | NASTY, name=st.sampled_from(["get_order", "place_order", "x"]))
def test_no_action_makes_the_environment_raise(action: str, name: str) -> None:
    """Text of an agent's that ends a run."""
    env = ToolsEnv("orders-l2-0000")
    env.reset(seed=0)
    before = read_state(env.database)
    for text in (format_call(Call(name, {"order": action})), f"<tool_call>{action}", action):
        _, reward, terminated, _, _ = env.step(text)
        assert reward == 0.0
        if terminated:
            break
    assert read_state(env.database) == before
    env.close()


def test_rows_are_compared_without_the_order_they_were_made_in() -> None:
    """Two transfers made the other way round that count as another state."""
    bank = find_domain("bank")
    states = []
    for order in ((3, 8), (8, 3)):
        database = filled(bank)
        one, two = (entry[0] for entry in read_state(database)["accounts"][:2])
        for amount in order:
            arguments = {"source": one, "target": two, "amount": amount}
            carry_out(database, bank.tool("transfer"), arguments)
        states.append(read_state(database))
        database.close()
    assert states[0] == states[1]


def test_names_and_values_are_drawn_from_the_seed_alone() -> None:
    """A database that depends on what was made before it."""
    for name in DOMAINS:
        databases = [filled(find_domain(name)) for _ in range(2)]
        states = [read_state(database) for database in databases]
        assert states[0] == states[1] and all(states[0].values())
        for database in databases:
            database.close()


# A domain of one's own --------------------------------------------------------------------


def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
    rooms = [("hall", 0), ("attic", 1), ("cellar", int(rng.integers(2)))]
    database.executemany("INSERT INTO lamps VALUES (?, ?)", rooms)


def see(database: sqlite3.Connection, room: str) -> dict[str, Any]:
    """Say whether the lamp of a room is on."""
    return row(database, "SELECT * FROM lamps WHERE room = ?", room, missing=f"no room {room}")


def switch(database: sqlite3.Connection, room: str, lit: bool) -> str:
    """Switch a lamp; the attic's burns through."""
    see(database, room)
    database.execute("UPDATE lamps SET lit = ? WHERE room = ?", (lit, room))
    if room == "attic":
        raise ActionError("the fuse has blown")
    return "click"


def build(database: sqlite3.Connection, rooms: list[str]) -> str:
    """Add rooms."""
    database.executemany("INSERT INTO lamps VALUES (?, 0)", [(room,) for room in rooms])
    return "built"


def light(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Light the hall."""
    right = {"room": "hall", "lit": True}
    return Problem(
        fields=right,
        steps=(Call("switch", right), "done"),
        wrong=((Call("switch", right | {"lit": False}),),),
    )


LAMPS = Domain(
    name="lamps",
    policy="Policy: Mind the attic.",
    schema="CREATE TABLE lamps (room TEXT PRIMARY KEY, lit INT NOT NULL);",
    fill=fill,
    tools=(see, switch, build),
    kinds=(Kind(0, light, train=("Light the {room}.",), test=("Dark in the {room}!",)),),
)


def test_a_domain_of_ones_own_is_an_environment() -> None:
    """A plug-in interface that only our own domains fit."""
    check_env(lambda: ToolsEnv(domains=[LAMPS]))
    report = audit(lambda: ToolsEnv(domains=[LAMPS]), seeds=2)
    assert report.ok and len(report.tasks) == 30


def test_a_call_that_fails_half_way_is_undone() -> None:
    """A lamp that is lit by a call that was answered with an error."""
    database = filled(LAMPS)
    before = read_state(database)
    with pytest.raises(ActionError, match="the fuse has blown"):
        carry_out(database, switch, {"room": "attic", "lit": False})
    with pytest.raises(ActionError, match="build: UNIQUE constraint failed"):
        carry_out(database, build, {"rooms": ["shed", "hall"]})
    assert read_state(database) == before
    assert carry_out(database, build, {"rooms": ["shed"]}) == "built"
    assert len(read_state(database)["lamps"]) == 4
    database.close()


def test_a_bug_in_a_tool_is_raised_and_leaves_the_state_alone() -> None:
    """A domain author's bug that is told to the agent as its own mistake."""

    def broken(database: sqlite3.Connection) -> str:
        """Break."""
        database.execute("DELETE FROM lamps")
        raise ZeroDivisionError

    database = filled(LAMPS)
    with pytest.raises(ZeroDivisionError):
        carry_out(database, broken, {})
    assert len(read_state(database)["lamps"]) == 3
    database.close()
