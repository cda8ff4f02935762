"""Goals on calendar.test."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.calendar import CALENDAR, HOURS, clock
from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import choose, click, fill, give_up, say
from agentgym_si.envs.sites.world import DAYS, Event, World, next_number
from agentgym_si.envs.tools.domain import pick

HOME = CALENDAR.url("/")

TITLES = ("Tea with Grandma", "Car wash", "Pay the rent", "Feed the cat", "Run", "Buy flowers")


def _two(world: World, rng: np.random.Generator) -> tuple[Event, Event]:
    event, other = pick(rng, world.events, 2)
    return event, other


def _page(event: Event) -> str:
    return CALENDAR.url(f"/event/{event.number}")


def _free_hours(world: World, day: str) -> list[int]:
    taken = {event.hour for event in world.events if event.day == day}
    return [hour for hour in HOURS if hour not in taken]


def open_day(world: World, rng: np.random.Generator) -> Problem:
    """Open a day."""
    day, other = pick(rng, DAYS, 2)
    return Problem(
        world,
        {"day": day},
        (click(day),),
        start=HOME,
        page=CALENDAR.url(f"/day/{day}"),
        wrong=((click(other),),),
    )


def delete(world: World, rng: np.random.Generator) -> Problem:
    """Delete the event that is shown."""
    event, other = _two(world, rng)
    return Problem(
        world,
        {},
        (click("Delete"),),
        start=_page(event),
        wrong=((click("Week Planner"), click(other.day), click(other.title), click("Delete")),),
    )


def ask_time(world: World, rng: np.random.Generator) -> Problem:
    """Say when an event begins."""
    event, other = _two(world, rng)
    hour, look = str(event.hour), click(event.day)
    return Problem(
        world,
        {"title": event.title, "day": event.day},
        (look, say(clock(event.hour))),
        start=HOME,
        says=(hour,),
        unsaid=others(hour, [str(other.hour) for other in world.events]),
        seen=(clock(event.hour), event.title),
        wrong=((look, say(clock(other.hour))), (look, say(f"{event.hour} or {other.hour}"))),
    )


def open_event(world: World, rng: np.random.Generator) -> Problem:
    """Find an event and open it."""
    event, other = _two(world, rng)
    plays = [(click(chosen.day), click(chosen.title)) for chosen in (event, other)]
    return Problem(
        world,
        {"title": event.title, "day": event.day},
        plays[0],
        start=HOME,
        page=_page(event),
        wrong=(plays[1],),
    )


def ask_free_day(world: World, rng: np.random.Generator) -> Problem:
    """Say on which day nothing happens."""
    busy = {event.day for event in world.events}
    free, *filled = pick(rng, [day for day in DAYS if day not in busy], 2)
    hours, number = pick(rng, HOURS, len(filled)), next_number(world.events)
    events = tuple(
        Event(number + place, title, day, hour)
        for place, (title, day, hour) in enumerate(zip(TITLES, filled, hours, strict=False))
    )
    wrong = pick(rng, sorted(busy))[0]
    return Problem(
        world.change(events=world.events + events),
        {},
        (click(free), say(free)),
        start=HOME,
        says=(free,),
        unsaid=others(free, list(DAYS)),
        seen=("There are no events.",),
        wrong=((click(wrong), say(wrong)), (click(free), say(" ".join(DAYS)))),
    )


def delete_named(world: World, rng: np.random.Generator) -> Problem:
    """Find an event and delete it."""
    event, other = _two(world, rng)
    plays = [(click(chosen.day), click(chosen.title), click("Delete")) for chosen in (event, other)]
    return Problem(
        world,
        {"title": event.title, "day": event.day},
        plays[0],
        start=HOME,
        wrong=(plays[1], plays[0][:2]),
    )


def add(world: World, rng: np.random.Generator) -> Problem:
    """Add an event."""
    title, (day, other) = pick(rng, TITLES)[0], pick(rng, DAYS, 2)
    hour, late = pick(rng, _free_hours(world, day), 2)

    begin = (click("New event"), fill("Title", title))
    plays = [
        (*begin, choose("Day", on), choose("Time", clock(at)), click("Save"))
        for on, at in ((day, hour), (day, late), (other, hour))
    ]
    return Problem(
        world,
        {"title": title, "day": day, "time": clock(hour)},
        plays[0],
        start=HOME,
        wrong=tuple(plays[1:]),
    )


def move(world: World, rng: np.random.Generator) -> Problem:
    """Move an event to another day and hour."""
    event, other = _two(world, rng)
    day, wrong = pick(rng, [day for day in DAYS if day != event.day], 2)
    hour = pick(rng, _free_hours(world, day))[0]
    plays = [
        (
            click(chosen.day),
            click(chosen.title),
            click("Move"),
            choose("Day", on),
            choose("Time", clock(hour)),
            click("Save"),
        )
        for chosen, on in ((event, day), (event, wrong), (other, day))
    ]
    return Problem(
        world,
        {"title": event.title, "day": event.day, "new": day, "time": clock(hour)},
        plays[0],
        start=HOME,
        wrong=tuple(plays[1:]),
    )


def no_such_event(world: World, rng: np.random.Generator) -> Problem:
    """Say that there is no such event."""
    event, title = pick(rng, world.events)[0], pick(rng, TITLES)[0]
    look = click(event.day)
    return Problem(
        world,
        {"title": title, "day": event.day},
        (look, give_up("no such event")),
        start=HOME,
        infeasible=True,
        seen=(event.title,),
        wrong=(
            (look, say("no such event")),
            (look, click(event.title), click("Delete"), give_up("no such event")),
        ),
    )


KINDS = (
    Kind(
        "calendar",
        0,
        open_day,
        ("Open the day {day}.", "Show me {day}."),
        ("What have I got on {day}? Take me there.",),
    ),
    Kind(
        "calendar",
        0,
        delete,
        ("Delete this event.", "Cancel this event."),
        ("This one is off: out of the calendar.",),
    ),
    Kind(
        "calendar",
        1,
        ask_time,
        ('At what hour does "{title}" begin on {day}?', '"{title}" on {day}: when?'),
        ('Tell me the time of "{title}", which is on {day}.',),
    ),
    Kind(
        "calendar",
        1,
        open_event,
        ('Open the event "{title}" on {day}.', 'Show me "{title}" of {day}.'),
        ('On {day} there is "{title}": take me to it.',),
    ),
    Kind(
        "calendar",
        1,
        ask_free_day,
        ("On which day is there no event?", "Which day of the week is free?"),
        ("Name the one day on which I have nothing to do.",),
    ),
    Kind(
        "calendar",
        2,
        delete_named,
        ('Delete the event "{title}" on {day}.', 'Cancel "{title}" on {day}.'),
        ('"{title}" on {day} is off: out of the calendar.',),
    ),
    Kind(
        "calendar",
        2,
        add,
        (
            'Add the event "{title}" on {day} at {time}.',
            'New event: "{title}", {day}, {time}.',
        ),
        ('On {day} at {time} I have "{title}": put it into the calendar.',),
    ),
    Kind(
        "calendar",
        2,
        move,
        ('Move "{title}" from {day} to {new} at {time}.',),
        ('"{title}" of {day} is now on {new} at {time}.',),
        held_out=True,
    ),
    Kind(
        "calendar",
        1,
        no_such_event,
        ('Delete the event "{title}" on {day}.',),
        ('"{title}" on {day} is off: out of the calendar.',),
        held_out=True,
    ),
)
