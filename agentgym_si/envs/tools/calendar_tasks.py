"""The domain `calendar`: its tasks."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.calendar import (
    DAYS,
    HOURS,
    POLICY,
    SCHEMA,
    TOOLS,
    fill,
    free_hours,
    get_event,
)
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, others, pick, rows
from agentgym_si.envs.tools.words import NAMES, WORDS


def some(
    database: sqlite3.Connection, rng: np.random.Generator, count: int, *, fixed: bool = False
) -> list[dict[str, Any]]:
    """Draw events."""
    query = "SELECT * FROM events WHERE fixed = ? ORDER BY title"
    return pick(rng, rows(database, query, int(fixed)), count)


def free_slots(
    database: sqlite3.Connection, rng: np.random.Generator, count: int
) -> list[dict[str, Any]]:
    """Draw free times, each as day and hour."""
    slots = [{"day": day, "hour": hour} for day in DAYS for hour in free_hours(database, day)]
    return pick(rng, slots, count)


def new_title(database: sqlite3.Connection, rng: np.random.Generator) -> str:
    """Draw a title that is not in use."""
    used = {event["title"] for event in rows(database, "SELECT title FROM events")}
    return str(pick(rng, [word for word in WORDS if word not in used])[0])


def delete(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Delete the event that is named."""
    event, other = some(database, rng, 2)
    title = event["title"]
    return Problem(
        fields={"title": title},
        steps=(Call("delete_event", {"title": title}), "done"),
        wrong=(
            (Call("delete_event", {"title": other["title"]}),),
            (Call("uninvite", {"title": title, "person": _guest(database, title)}),),
        ),
    )


def move(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Move the event that is named."""
    event, other = some(database, rng, 2)
    slot, elsewhere = free_slots(database, rng, 2)
    right = {"title": event["title"], **slot}
    return Problem(
        fields=right,
        steps=(Call("move_event", right), "done"),
        wrong=(
            (Call("move_event", right | {"title": other["title"]}),),
            (Call("move_event", right | elsewhere),),
            (Call("delete_event", {"title": event["title"]}),),
        ),
    )


def welcome(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Invite a person to the event that is named."""
    event, other = some(database, rng, 2)
    guests = {guest["person"] for guest in rows(database, "SELECT person FROM guests")}
    person, wrong = pick(rng, [name for name in NAMES if name not in guests], 2)
    right = {"title": event["title"], "person": person}
    return Problem(
        fields=right,
        steps=(Call("invite", right), "done"),
        wrong=(
            (Call("invite", right | {"title": other["title"]}),),
            (Call("invite", right | {"person": wrong}),),
        ),
    )


def ask_time(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say day and hour of an event."""
    event, *rest = some(database, rng, 11)
    look = Call("get_event", {"title": event["title"]})
    day, hour = event["day"], str(event["hour"])
    days, hours = others(day, DAYS), others(hour, [other["hour"] for other in rest])
    return Problem(
        fields={"title": event["title"]},
        steps=(look, f"{day} {hour}"),
        says=(day, hour),
        unsaid=(*days, *hours),
        wrong=((look, f"{days[0]} {hour}"), (look, f"{day} {event['hour'] + 1}")),
    )


def ask_guest(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say who is invited to an event."""
    (event,) = some(database, rng, 1)
    look, guest = Call("get_event", {"title": event["title"]}), _guest(database, event["title"])
    guests = [entry["person"] for entry in rows(database, "SELECT person FROM guests")]
    return Problem(
        fields={"title": event["title"]},
        steps=(look, guest),
        says=(guest,),
        unsaid=others(guest, guests),
        wrong=((look, Call("uninvite", {"title": event["title"], "person": guest})),),
    )


def book_first(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Make an event in the first free hour of a day, and say which."""
    title, (day,) = new_title(database, rng), pick(rng, DAYS)
    first, second, *_ = free_hours(database, day)
    look, right = Call("free_hours", {"day": day}), {"title": title, "day": day, "hour": first}
    return Problem(
        fields={"title": title, "day": day},
        steps=(look, Call("create_event", right), str(first)),
        says=(str(first),),
        unsaid=others(str(first), HOURS),
        wrong=((look, Call("create_event", right | {"hour": second})), (look,)),
    )


def move_by_time(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Move the event of a time, whose title has to be found."""
    event, other = some(database, rng, 2)
    (slot,) = free_slots(database, rng, 1)
    look = Call("list_events", {"day": event["day"]})
    right = {"title": event["title"], **slot}
    return Problem(
        fields={"day": event["day"], "hour": event["hour"], "to": slot["day"], "at": slot["hour"]},
        steps=(look, Call("move_event", right), "done"),
        wrong=(
            (look, Call("move_event", right | {"title": other["title"]})),
            (look, Call("delete_event", {"title": event["title"]})),
        ),
    )


def ask_hour(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Make an event at an hour that only the user knows."""
    title, (slot, elsewhere) = new_title(database, rng), free_slots(database, rng, 2)
    right = {"title": title, **slot}
    return Problem(
        fields={"title": title, "day": slot["day"]},
        steps=("At which hour?", Call("create_event", right), "done"),
        replies=(Reply(("hour", "time", "when", "o'clock"), f"At {slot['hour']}."),),
        wrong=((Call("create_event", right | elsewhere),),),
    )


def refuse_delete(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to delete a fixed event."""
    (event,) = some(database, rng, 1, fixed=True)
    right = {"title": event["title"]}
    return _refused(database, event, Call("delete_event", right), right)


def refuse_move(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to move a fixed event."""
    (event,), (slot,) = some(database, rng, 1, fixed=True), free_slots(database, rng, 1)
    right = {"title": event["title"], **slot}
    return _refused(database, event, Call("move_event", right), right)


def _refused(
    database: sqlite3.Connection, event: dict[str, Any], against: Call, fields: dict[str, Any]
) -> Problem:
    look = Call("get_event", {"title": event["title"]})
    people = [entry["owner"] for entry in rows(database, "SELECT owner FROM events")]
    return Problem(
        fields=fields,
        steps=(look, event["owner"]),
        says=(event["owner"],),
        unsaid=others(event["owner"], people),
        wrong=((against,), (look, against)),
    )


def book_after(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Make an event with two guests at a time that is taken, so at the next free hour; say it."""
    title, guests = new_title(database, rng), pick(rng, NAMES, 2)
    query = "SELECT day, hour FROM events WHERE hour < 15 ORDER BY title"
    taken = pick(rng, rows(database, query))[0]
    day, hour = taken["day"], taken["hour"]
    free = next((h for h in free_hours(database, day) if h > hour), None)
    if free is None:  # a day that is full to its end: its last event makes room
        database.execute("DELETE FROM events WHERE day = ? AND hour = 18", (day,))
        free = 18
    wanted = {"title": title, "day": day, "hour": hour}
    full, look = Call("create_event", wanted), Call("free_hours", {"day": day})
    book = Call("create_event", wanted | {"hour": free})
    late = Call("create_event", wanted | {"hour": 18 if free < 18 else 8})
    invites = [Call("invite", {"title": title, "person": person}) for person in guests]
    return Problem(
        fields={**wanted, "first": guests[0], "second": guests[1]},
        steps=(full, look, book, *invites, str(free)),
        says=(str(free),),
        unsaid=others(str(free), HOURS),
        busy={"invite": 1},
        wrong=((full, look, book, invites[0]), (full, look, late, *invites)),
    )


def clear_day(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Delete a day's events but the fixed ones, and say how many hours are free then."""
    (kept,) = some(database, rng, 1, fixed=True)
    day = kept["day"]
    free = free_hours(database, day)
    for event, hour in zip(some(database, rng, 2), pick(rng, free, 2), strict=True):
        query = "UPDATE events SET day = ?, hour = ? WHERE title = ?"
        database.execute(query, (day, hour, event["title"]))
    query = "SELECT title, fixed FROM events WHERE day = ? ORDER BY hour"
    found = rows(database, query, day)
    looks = [Call("get_event", {"title": event["title"]}) for event in found]
    deletes = [Call("delete_event", {"title": e["title"]}) for e in found if not e["fixed"]]
    look, against = (
        Call("list_events", {"day": day}),
        Call("delete_event", {"title": kept["title"]}),
    )
    hours = str(len(HOURS) - len(found) + len(deletes))
    return Problem(
        fields={"day": day},
        steps=(look, *looks, *deletes, hours),
        says=(hours,),
        unsaid=others(hours, range(20)),
        busy={"delete_event": 1},
        wrong=((look, *deletes, against), (look, *deletes[1:])),
    )


def _guest(database: sqlite3.Connection, title: str) -> str:
    return str(get_event(database, title)["guests"][0])


DOMAIN = Domain(
    name="calendar",
    policy=POLICY,
    schema=SCHEMA,
    fill=fill,
    tools=TOOLS,
    kinds=(
        Kind(
            0,
            delete,
            train=("Delete the event {title}.", "Remove {title} from my calendar."),
            test=("The event {title} is off, take it out.",),
        ),
        Kind(
            0,
            move,
            train=("Move {title} to {day} at {hour}.", "{title} is now on {day} at {hour}."),
            test=("Let {title} begin at {hour} on {day}.",),
        ),
        Kind(
            0,
            welcome,
            train=("Invite {person} to {title}.", "{person} comes to {title}: invite."),
            test=("For {title}, put {person} on the list of guests.",),
        ),
        Kind(
            1,
            ask_time,
            train=("On which day and at which hour is {title}?", "When is {title}, day and hour?"),
            test=("I forgot day and hour of {title}, tell me both.",),
        ),
        Kind(
            1,
            ask_guest,
            train=("Who is invited to {title}?", "Name the guest of {title}."),
            test=("Tell me whom I shall meet as the guest at {title}.",),
        ),
        Kind(
            2,
            book_first,
            train=("Make an event {title} in the first free hour of {day}. Which hour is it?",),
            test=("As early as possible on {day} I need {title}. Book, and tell me the hour.",),
        ),
        Kind(
            2,
            move_by_time,
            train=("Move what is on {day} at {hour} to {to} at {at}.",),
            test=("Whatever begins at {hour} on {day} shall begin at {at} on {to}.",),
        ),
        Kind(
            3,
            ask_hour,
            train=("Make an event {title} on {day}.", "Put {title} into {day}."),
            test=("Some time on {day} I have {title}, note it.",),
        ),
        Kind(
            3,
            refuse_delete,
            train=("Delete the event {title}, if that may be done.",),
            test=("Should the rules let you, take {title} out.",),
        ),
        Kind(
            3,
            refuse_move,
            train=("Move {title} to {day} at {hour}, if that may be done.",),
            test=("Should the rules let you, begin {title} at {hour} on {day}.",),
        ),
        Kind(
            4,
            book_after,
            train=(
                "Make {title} on {day} at {hour}, or else in the next free hour after it, and "
                "invite {first} and {second}. At which hour is it?",
            ),
            test=(
                "{first} and {second} are my guests at {title}: {day}, {hour}, or later that day "
                "as soon as possible. Book it and say the hour.",
            ),
        ),
        Kind(
            4,
            clear_day,
            train=("Delete all that may be deleted on {day}. How many hours are free then?",),
            test=("Keep {day} as empty as the rules let you, and count its free hours.",),
        ),
    ),
)
