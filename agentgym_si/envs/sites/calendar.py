"""calendar.test: a week of events; look at a day, add an event, move it, delete it."""

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
    number,
    refuse,
)
from agentgym_si.envs.sites.tree import (
    Content,
    action,
    button,
    choice,
    facts,
    form,
    link,
    listing,
    paragraph,
    textbox,
)
from agentgym_si.envs.sites.world import DAYS, Event, World, find, next_number, swap

HOURS = range(8, 20)

NOTES = {
    "fields": "Please give a title, a day and an hour.",
    "taken": "There is an event at that hour already.",
}

Fields = Mapping[str, str]


def clock(hour: int) -> str:
    """Return an hour as it is shown: `9:00`."""
    return f"{hour}:00"


def _home(world: World, _: Fields) -> Page:
    return Page("This week", (listing(link(day, f"/day/{day}") for day in DAYS),))


def _day(world: World, _: Fields, day: str) -> Page:
    if day not in DAYS:
        return missing("day")
    found = sorted(event.hour for event in world.events if event.day == day)
    by_hour = {event.hour: event for event in world.events if event.day == day}
    entries = listing(
        (f"{clock(hour)} ", link(by_hour[hour].title, f"/event/{by_hour[hour].number}"))
        for hour in found
    )
    return Page(day, (entries or paragraph("There are no events."),))


def _event(world: World, _: Fields, key: str) -> Page:
    event = find(world.events, number(key))
    if event is None:
        return missing("event")
    return Page(
        event.title,
        (
            facts([("Day", event.day), ("Time", clock(event.hour))]),
            link("Move", f"/event/{event.number}/move"),
            action("Delete", f"/event/{event.number}/delete"),
        ),
    )


def _delete(world: World, _: Fields, key: str) -> Redirect | Answer:
    event = find(world.events, number(key))
    if event is None:
        return Redirect("/")
    events = swap(world.events, event, None)
    return Redirect(f"/day/{event.day}"), world.change(events=events)


def _times(day: str = "", hour: str = "") -> tuple[Content, ...]:
    return choice("Day", "day", DAYS, day), choice("Time", "hour", map(clock, HOURS), hour)


def _new(_: World, fields: Fields) -> Page:
    boxes = form("/new", textbox("Title", "title"), *_times(), button("Save"))
    return Page("New event", (note_of(fields, NOTES), boxes))


def _add(world: World, fields: Fields) -> Redirect | Answer:
    title, day, hour = fields.get("title", ""), fields.get("day", ""), _hour_of(fields)
    if not title or day not in DAYS or hour not in HOURS:
        return refuse("/new", "fields")
    if _is_taken(world, day, hour):
        return refuse("/new", "taken")
    event = Event(next_number(world.events), title, day, hour)
    return Redirect(f"/day/{day}"), world.change(events=(*world.events, event))


def _moving(world: World, fields: Fields, key: str) -> Page:
    event = find(world.events, number(key))
    if event is None:
        return missing("event")
    times = _times(event.day, clock(event.hour))
    boxes = form(f"/event/{event.number}/move", *times, button("Save"))
    return Page(f"Move {event.title}", (note_of(fields, NOTES), boxes))


def _move(world: World, fields: Fields, key: str) -> Redirect | Answer:
    event = find(world.events, number(key))
    if event is None:
        return Redirect("/")
    path, day, hour = f"/event/{event.number}", fields.get("day", ""), _hour_of(fields)
    if day not in DAYS or hour not in HOURS:
        return refuse(f"{path}/move", "fields")
    if (day, hour) != (event.day, event.hour) and _is_taken(world, day, hour):
        return refuse(f"{path}/move", "taken")
    moved = event._replace(day=day, hour=hour)
    return Redirect(path), world.change(events=swap(world.events, event, moved))


def _hour_of(fields: Fields) -> int:
    return number(fields.get("hour", "").removesuffix(":00"))


def _is_taken(world: World, day: str, hour: int) -> bool:
    return any((event.day, event.hour) == (day, hour) for event in world.events)


CALENDAR = Site(
    host="calendar.test",
    title="Week Planner",
    colour="#be123c",
    links=(("Week Planner", "/"), ("New event", "/new")),
    routes=(
        Route("GET", "/", _home),
        Route("GET", "/day/([A-Za-z]+)", _day),
        Route("GET", "/event/([0-9]+)", _event),
        Route("POST", "/event/([0-9]+)/delete", _delete),
        Route("GET", "/new", _new),
        Route("POST", "/new", _add),
        Route("GET", "/event/([0-9]+)/move", _moving),
        Route("POST", "/event/([0-9]+)/move", _move),
    ),
)
