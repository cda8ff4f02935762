"""travel.test: trains between towns, seats to book for a day, and bookings to cancel."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_si.envs.sites.calendar import clock
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
    hidden,
    link,
    listing,
    paragraph,
    textbox,
)
from agentgym_si.envs.sites.world import (
    DAYS,
    Booking,
    Mail,
    Train,
    World,
    find,
    next_number,
    swap,
)

NOTES = {"fields": "Please give a day and a passenger.", "seats": "There are no seats left."}

Fields = Mapping[str, str]


def towns(world: World) -> list[str]:
    """Return where trains go, sorted."""
    return sorted({town for train in world.trains for town in (train.start, train.goal)})


def _home(world: World, _: Fields) -> Page:
    names = towns(world)
    boxes = (choice("From", "from", names), choice("To", "to", names))
    return Page("Find a train", (form("/trains", *boxes, button("Search"), method="get"),))


def _trains(world: World, fields: Fields) -> Page:
    start, goal = fields.get("from", ""), fields.get("to", "")
    entries = listing(
        (link(f"Train {train.number}", f"/train/{train.number}"), f" {_offer(train)}")
        for train in sorted(world.trains, key=lambda train: (train.leaves, train.number))
        if (train.start, train.goal) == (start, goal)
    )
    return Page("Trains found", (entries or paragraph("There is no direct train."),))


def _offer(train: Train) -> str:
    seats = f"{train.seats} seats" if train.seats else "sold out"
    return f"{clock(train.leaves)}, {train.hours} hours, {train.price} euro, {seats}"


def _train(world: World, fields: Fields, key: str) -> Page:
    train = find(world.trains, number(key))
    if train is None:
        return missing("train")
    told = facts(
        [
            ("From", train.start),
            ("To", train.goal),
            ("Leaves", clock(train.leaves)),
            ("Arrives", clock(train.leaves + train.hours)),
            ("Price", f"{train.price} euro"),
            ("Seats left", train.seats),
        ]
    )
    return Page(f"Train {train.number}", (note_of(fields, NOTES), told, _booking_form(train)))


def _booking_form(train: Train) -> Content:
    if not train.seats:
        return paragraph("Sold out")
    boxes = (choice("Day", "day", DAYS), textbox("Passenger", "passenger"))
    return form("/book", hidden("train", train.number), *boxes, button("Book"))


def _book(world: World, fields: Fields) -> Redirect | Answer:
    """Book a seat, and write a mail."""
    train = find(world.trains, number(fields.get("train", "")))
    day, passenger = fields.get("day", ""), fields.get("passenger", "")
    if train is None:
        return Redirect("/")
    if not train.seats:
        return refuse(f"/train/{train.number}", "seats")
    if day not in DAYS or not passenger:
        return refuse(f"/train/{train.number}", "fields")
    booking = Booking(next_number(world.bookings), train.number, day, passenger)
    text = f"Train {train.number} to {train.goal} on {day} for {passenger}: {train.price} euro."
    subject = f"Booking {booking.number}"
    mail = Mail(next_number(world.mails), "Inbox", "Rail Travel", subject, text)
    return Redirect("/bookings"), world.change(
        trains=swap(world.trains, train, train._replace(seats=train.seats - 1)),
        bookings=(*world.bookings, booking),
        mails=(*world.mails, mail),
    )


def _bookings(world: World, _: Fields) -> Page:
    entries = []
    for booking in world.bookings:
        train = find(world.trains, booking.train)
        assert train is not None
        text = f"{booking.day}, {train.start} to {train.goal}, {booking.passenger} "
        name = f"Cancel booking {booking.number}"
        entries.append((text, action(name, "/cancel", booking=booking.number)))
    return Page("Your bookings", (listing(entries) or paragraph("There are no bookings."),))


def _cancel(world: World, fields: Fields) -> Redirect | Answer:
    booking = find(world.bookings, number(fields.get("booking", "")))
    if booking is None:
        return Redirect("/bookings")
    train = find(world.trains, booking.train)
    assert train is not None
    return Redirect("/bookings"), world.change(
        trains=swap(world.trains, train, train._replace(seats=train.seats + 1)),
        bookings=swap(world.bookings, booking, None),
    )


TRAVEL = Site(
    host="travel.test",
    title="Rail Travel",
    colour="#a16207",
    links=(("Rail Travel", "/"), ("Bookings", "/bookings")),
    routes=(
        Route("GET", "/", _home),
        Route("GET", "/trains", _trains),
        Route("GET", "/train/([0-9]+)", _train),
        Route("POST", "/book", _book),
        Route("GET", "/bookings", _bookings),
        Route("POST", "/cancel", _cancel),
    ),
)
