"""The world of the domain `calendar`: one week's events and their guests."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Literal, get_args

import numpy as np

from agentgym_si.envs.tools.domain import (
    pick,
    row,
    rows,
)
from agentgym_si.envs.tools.words import NAMES, WORDS
from agentgym_si.errors import ActionError

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]
DAYS: tuple[Day, ...] = get_args(Day)
HOURS = range(8, 19)

POLICY = """Policy: An event lasts one hour, and no two are at the same time. Fixed events must \
not be moved or deleted: change nothing, and tell the user the name of the event's owner."""

SCHEMA = """
CREATE TABLE events (
    title TEXT PRIMARY KEY, day TEXT NOT NULL, hour INT NOT NULL, owner TEXT NOT NULL,
    fixed INT NOT NULL, UNIQUE (day, hour)
);
CREATE TABLE guests (
    title TEXT NOT NULL REFERENCES events ON DELETE CASCADE, person TEXT NOT NULL,
    UNIQUE (title, person)
);
"""


Title = Annotated[str, {"description": "of the event"}]
Hour = Annotated[int, {"minimum": 8, "maximum": 18, "description": "at which it begins"}]
Person = Annotated[str, {"description": "first name of the guest"}]


def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
    """Put 14 events in, at most 8 a day, three of them fixed, each with one guest."""
    titles, owners = pick(rng, WORDS, 14), pick(rng, NAMES, 14)
    slots = pick(rng, [(day, hour) for day in DAYS for hour in pick(rng, HOURS, 8)], 14)
    events = [
        (title, day, hour, owner, int(place > 10))
        for place, (title, (day, hour), owner) in enumerate(zip(titles, slots, owners, strict=True))
    ]
    database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
    guests = zip(titles, pick(rng, owners, 14), strict=True)
    database.executemany("INSERT INTO guests VALUES (?, ?)", guests)


# Tools ------------------------------------------------------------------------------------


def get_event(database: sqlite3.Connection, title: Title) -> dict[str, Any]:
    """Show an event and its guests."""
    query = "SELECT * FROM events WHERE title = ?"
    event = row(database, query, title, missing=f"no event {title}")
    guests = rows(database, "SELECT person FROM guests WHERE title = ? ORDER BY person", title)
    return {**event, "fixed": bool(event["fixed"]), "guests": [guest["person"] for guest in guests]}


def list_events(database: sqlite3.Connection, day: Day) -> list[dict[str, Any]]:
    """List title and hour of a day's events."""
    return rows(database, "SELECT title, hour FROM events WHERE day = ? ORDER BY hour", day)


def free_hours(database: sqlite3.Connection, day: Day) -> list[int]:
    """List the hours of a day at which no event begins."""
    taken = {event["hour"] for event in list_events(database, day)}
    return [hour for hour in HOURS if hour not in taken]


def create_event(database: sqlite3.Connection, title: Title, day: Day, hour: Hour) -> str:
    """Make an event."""
    _check_free(database, day, hour)
    database.execute("INSERT INTO events VALUES (?, ?, ?, 'me', 0)", (title, day, hour))
    return "done"


def move_event(database: sqlite3.Connection, title: Title, day: Day, hour: Hour) -> str:
    """Move an event to another time."""
    get_event(database, title)
    _check_free(database, day, hour)
    database.execute("UPDATE events SET day = ?, hour = ? WHERE title = ?", (day, hour, title))
    return "done"


def delete_event(database: sqlite3.Connection, title: Title) -> str:
    """Delete an event."""
    get_event(database, title)
    database.execute("DELETE FROM events WHERE title = ?", (title,))
    return "done"


def invite(database: sqlite3.Connection, title: Title, person: Person) -> str:
    """Add a guest to an event."""
    if person in get_event(database, title)["guests"]:
        raise ActionError(f"{person} is a guest of {title} already")
    database.execute("INSERT INTO guests VALUES (?, ?)", (title, person))
    return "done"


def uninvite(database: sqlite3.Connection, title: Title, person: Person) -> str:
    """Remove a guest from an event."""
    if person not in get_event(database, title)["guests"]:
        raise ActionError(f"{person} is no guest of {title}")
    database.execute("DELETE FROM guests WHERE title = ? AND person = ?", (title, person))
    return "done"


def _check_free(database: sqlite3.Connection, day: str, hour: int) -> None:
    query = "SELECT title FROM events WHERE day = ? AND hour = ?"
    taken = rows(database, query, day, hour)
    if taken:
        raise ActionError(f"{day} at {hour} is taken by {taken[0]['title']}")


TOOLS = (
    get_event,
    list_events,
    free_hours,
    create_event,
    move_event,
    delete_event,
    invite,
    uninvite,
)
