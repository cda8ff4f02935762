"""Goals on travel.test: a site that is never trained on."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.goals import Kind, Problem, others
from agentgym_si.envs.sites.intents import choose, click, fill, give_up, say
from agentgym_si.envs.sites.travel import TRAVEL, towns
from agentgym_si.envs.sites.tree import encode
from agentgym_si.envs.sites.world import DAYS, Train, World, find, swap
from agentgym_si.envs.tools.domain import pick
from agentgym_si.envs.tools.words import NAMES

HOME = TRAVEL.url("/")


def _way(world: World, rng: np.random.Generator) -> list[Train]:
    """Draw a way; return its trains in random order."""
    train = pick(rng, world.trains)[0]
    way = (train.start, train.goal)
    return pick(rng, [one for one in world.trains if (one.start, one.goal) == way], 3)


def _list(train: Train) -> str:
    return TRAVEL.url(f"/trains?{encode([('from', train.start), ('to', train.goal)])}")


def _page(train: Train) -> str:
    return TRAVEL.url(f"/train/{train.number}")


def _name(train: Train) -> str:
    return f"Train {train.number}"


def open_train(world: World, rng: np.random.Generator) -> Problem:
    """Open a train's page."""
    train, other, _ = _way(world, rng)
    return Problem(
        world,
        {"number": train.number},
        (click(_name(train)),),
        start=_list(train),
        page=_page(train),
        wrong=((click(_name(other)),),),
    )


def open_cheapest(world: World, rng: np.random.Generator) -> Problem:
    """Open the page of the cheapest train between two towns."""
    trains = sorted(_way(world, rng), key=lambda train: train.price)
    go = (choose("From", trains[0].start), choose("To", trains[0].goal), click("Search"))
    plays = [(*go, click(_name(train))) for train in trains]
    return Problem(
        world,
        {"start": trains[0].start, "goal": trains[0].goal},
        plays[0],
        start=HOME,
        page=_page(trains[0]),
        wrong=tuple(plays[1:]),
    )


def ask_fare(world: World, rng: np.random.Generator) -> Problem:
    """Say what the first train of a day costs."""
    trains = sorted(_way(world, rng), key=lambda train: train.leaves)
    go = (choose("From", trains[0].start), choose("To", trains[0].goal), click("Search"))
    fares = [str(train.price) for train in trains]
    return Problem(
        world,
        {"start": trains[0].start, "goal": trains[0].goal},
        (*go, say(fares[0])),
        start=HOME,
        says=(fares[0],),
        unsaid=others(fares[0], fares),
        seen=(f"{fares[0]} euro",),
        wrong=((*go, say(fares[1])), (*go, say(" ".join(fares)))),
    )


def book(world: World, rng: np.random.Generator) -> Problem:
    """Book a seat in a train."""
    train, other, _ = _way(world, rng)
    (person, nobody), (day, wrong) = pick(rng, NAMES, 2), pick(rng, DAYS, 2)
    plays = [
        (click(_name(chosen)), choose("Day", on), fill("Passenger", who), click("Book"))
        for chosen, on, who in (
            (train, day, person),
            (other, day, person),
            (train, wrong, person),
            (train, day, nobody),
        )
    ]
    return Problem(
        world,
        {"number": train.number, "day": day, "person": person},
        plays[0],
        start=_list(train),
        wrong=tuple(plays[1:]),
    )


def cancel(world: World, rng: np.random.Generator) -> Problem:
    """Cancel somebody's booking."""
    booking, other = pick(rng, world.bookings, 2)
    plays = [click(f"Cancel booking {chosen.number}") for chosen in (booking, other)]
    return Problem(
        world,
        {"person": booking.passenger},
        (click("Bookings"), plays[0]),
        start=HOME,
        wrong=((click("Bookings"), plays[1]), (click("Bookings"), plays[1], plays[0])),
    )


def sold_out(world: World, rng: np.random.Generator) -> Problem:
    """Say that a train is full."""
    train, other, _ = _way(world, rng)
    (person,), (day,) = pick(rng, NAMES), pick(rng, DAYS)
    trains = swap(world.trains, train, train._replace(seats=0))
    book_other = (choose("Day", day), fill("Passenger", person), click("Book"))
    return Problem(
        world.change(trains=trains),
        {"number": train.number, "day": day, "person": person},
        (give_up("sold out"),),
        start=_list(train),
        infeasible=True,
        seen=("sold out",),
        wrong=((say("sold out"),), (click(_name(other)), *book_other)),
    )


def no_train(world: World, rng: np.random.Generator) -> Problem:
    """Say that no train goes there."""
    ways = {(train.start, train.goal) for train in world.trains}
    names = towns(world)
    start, goal = pick(
        rng,
        [
            (one, other)
            for one in names
            for other in names
            if one != other and (one, other) not in ways
        ],
    )[0]
    go = (choose("From", start), choose("To", goal), click("Search"))
    return Problem(
        world,
        {"start": start, "goal": goal},
        (*go, give_up("no train")),
        start=HOME,
        infeasible=True,
        seen=("There is no direct train.",),
        wrong=((*go, say("no train")),),
    )


def rebook(world: World, rng: np.random.Generator) -> Problem:
    """Cancel a booking and book the same train for another day."""
    booking, _ = pick(rng, world.bookings, 2)
    train = find(world.trains, booking.train)
    assert train is not None
    day, wrong = pick(rng, [day for day in DAYS if day != booking.day], 2)
    first = (click("Bookings"), click(f"Cancel booking {booking.number}"), click("Rail Travel"))
    go = (choose("From", train.start), choose("To", train.goal), click("Search"))
    plays = [
        (click(_name(train)), choose("Day", on), fill("Passenger", booking.passenger))
        for on in (day, wrong)
    ]
    return Problem(
        world,
        {"person": booking.passenger, "number": train.number, "day": day},
        (*first, *go, *plays[0], click("Book")),
        start=HOME,
        wrong=(first[:2], (*first, *go, *plays[1], click("Book"))),
    )


KINDS = (
    Kind("travel", 0, open_train, (), ("Open the page of train {number}.",)),
    Kind(
        "travel",
        2,
        open_cheapest,
        (),
        ("Open the page of the cheapest train from {start} to {goal}.",),
    ),
    Kind(
        "travel",
        2,
        ask_fare,
        (),
        ("How many euro is the first train of the day from {start} to {goal}?",),
    ),
    Kind(
        "travel",
        2,
        book,
        (),
        ('Book train {number} on {day} for "{person}".',),
    ),
    Kind("travel", 1, cancel, (), ("Cancel the booking of {person}.",)),
    Kind(
        "travel",
        1,
        sold_out,
        (),
        ('Book train {number} on {day} for "{person}".',),
    ),
    Kind(
        "travel",
        2,
        no_train,
        (),
        ("Open the page of the direct train from {start} to {goal}.",),
    ),
    Kind(
        "travel",
        3,
        rebook,
        (),
        (
            'Cancel the booking of "{person}", then book train {number} for "{person}" on {day} '
            "instead.",
        ),
    ),
)
