"""The domain `travel`: its tasks, which are never trained on."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, others, pick, rows
from agentgym_si.envs.tools.travel import POLICY, SCHEMA, TOOLS, fill
from agentgym_si.envs.tools.words import NAMES


def flights(database: sqlite3.Connection, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the flights in an order that is drawn."""
    return pick(rng, rows(database, "SELECT * FROM flights ORDER BY flight"), 12)


def bookings(
    database: sqlite3.Connection, rng: np.random.Generator, count: int, *, flexible: bool = True
) -> list[dict[str, Any]]:
    """Draw bookings."""
    query = "SELECT * FROM bookings WHERE flexible = ? ORDER BY id"
    return pick(rng, rows(database, query, int(flexible)), count)


def travellers(database: sqlite3.Connection, rng: np.random.Generator, count: int) -> list[str]:
    """Draw names that have no booking."""
    used = {found["traveller"] for found in rows(database, "SELECT traveller FROM bookings")}
    return pick(rng, [name for name in NAMES if name not in used], count)


def book(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Book the flight that is named."""
    flight, other = (found["flight"] for found in flights(database, rng)[:2])
    traveller, wrong = travellers(database, rng, 2)
    right = {"flight": flight, "traveller": traveller}
    return Problem(
        fields=right,
        steps=(Call("book_flight", right), "done"),
        wrong=(
            (Call("book_flight", right | {"flight": other}),),
            (Call("book_flight", right | {"traveller": wrong}),),
        ),
    )


def cancel(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel the booking that is named."""
    booking, other = (found["id"] for found in bookings(database, rng, 2))
    return Problem(
        fields={"booking": booking},
        steps=(Call("cancel_booking", {"booking": booking}), "done"),
        wrong=((Call("cancel_booking", {"booking": other}),),),
    )


def stay(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Book nights in the hotel that is named."""
    hotel, other = pick(rng, rows(database, "SELECT * FROM hotels ORDER BY hotel"), 2)
    (traveller,), nights = travellers(database, rng, 1), int(rng.integers(2, 30))
    right = {"hotel": hotel["hotel"], "traveller": traveller, "nights": nights}
    return Problem(
        fields=right,
        steps=(Call("book_hotel", right), "done"),
        wrong=(
            (Call("book_hotel", right | {"hotel": other["hotel"]}),),
            (Call("book_hotel", right | {"nights": nights + 1}),),
        ),
    )


def ask_price(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say what a flight costs."""
    flight, *rest = flights(database, rng)
    look, price = Call("get_flight", {"flight": flight["flight"]}), str(flight["price"])
    (traveller,) = travellers(database, rng, 1)
    return Problem(
        fields=look.arguments,
        steps=(look, price),
        says=(price,),
        unsaid=others(price, [other["price"] for other in rest]),
        wrong=((look, Call("book_flight", {**look.arguments, "traveller": traveller})),),
    )


def ask_traveller(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say whose a booking is."""
    booking, *rest = bookings(database, rng, 7)
    look, name = Call("get_booking", {"booking": booking["id"]}), booking["traveller"]
    return Problem(
        fields=look.arguments,
        steps=(look, name),
        says=(name,),
        unsaid=others(name, [other["traveller"] for other in rest]),
        wrong=((look, Call("cancel_booking", look.arguments)),),
    )


def book_cheapest(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Book the cheapest flight of a route, and say its price."""
    route, (traveller,) = _route(database), travellers(database, rng, 1)
    look, (first, second, *rest) = _by_price(database, route)
    books = [_book(found, traveller) for found in (first, second)]
    price = str(first["price"])
    return Problem(
        fields={**route, "traveller": traveller},
        steps=(look, books[0], price),
        says=(price,),
        unsaid=others(price, [found["price"] for found in (second, *rest)]),
        wrong=((look, books[1]), (look,)),
    )


def cancel_by_name(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel a traveller's booking of a hotel or flight, whose number has to be found."""
    booking, other = bookings(database, rng, 2)
    query = "UPDATE bookings SET traveller = ? WHERE id = ?"
    database.execute(query, (booking["traveller"], other["id"]))
    look = Call("find_bookings", {"traveller": booking["traveller"]})
    return Problem(
        fields={"traveller": booking["traveller"], "what": booking["what"]},
        steps=(look, Call("cancel_booking", {"booking": booking["id"]}), "done"),
        wrong=((look, Call("cancel_booking", {"booking": other["id"]})),),
    )


def ask_whom(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Book a flight for a traveller that only the user knows."""
    problem = book(database, rng)
    name = problem.fields["traveller"]
    return Problem(
        fields=problem.fields,
        steps=("For whom?", *problem.steps),
        replies=(Reply(("whom", "who", "traveller", "name", "passenger"), f"For {name}."),),
        wrong=problem.wrong,
    )


def refuse_cancel(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to cancel a booking that is not flexible."""
    (booking,) = bookings(database, rng, 1, flexible=False)
    look, price = Call("get_booking", {"booking": booking["id"]}), str(booking["price"])
    against = Call("cancel_booking", look.arguments)
    prices = [found["price"] for found in rows(database, "SELECT price FROM bookings")]
    return Problem(
        fields=look.arguments,
        steps=(look, price),
        says=(price,),
        unsaid=others(price, prices),
        wrong=((against,), (look, against)),
    )


def trip(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Book the cheapest flight that has a seat, and nights at the cheapest hotel; say the total."""
    route, (traveller,) = _route(database), travellers(database, rng, 1)
    find, (full, first, second, *_) = _by_price(database, route)
    database.execute("UPDATE flights SET seats = 0 WHERE flight = ?", (full["flight"],))
    query = "SELECT hotel, price FROM hotels WHERE city = ? ORDER BY price"
    hotel, dearer = rows(database, query, route["destination"])
    nights = int(rng.integers(2, 30))
    room = {"hotel": hotel["hotel"], "traveller": traveller, "nights": nights}
    wrong = Call("book_hotel", room | {"hotel": dearer["hotel"]})
    begin = (find, _book(full, traveller))
    hotels = Call("find_hotels", {"city": route["destination"]})
    total = str(first["price"] + hotel["price"] * nights)
    return Problem(
        fields={**route, "traveller": traveller, "nights": nights},
        steps=(*begin, _book(first, traveller), hotels, Call("book_hotel", room), total),
        says=(total,),
        unsaid=others(total, [full["price"] + hotel["price"] * nights]),
        busy={"find_hotels": 1},
        wrong=(
            (*begin, _book(second, traveller), hotels, Call("book_hotel", room)),
            (*begin, _book(first, traveller), hotels, wrong),
            (*begin, _book(first, traveller)),
        ),
    )


def cancel_all(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Cancel all of a traveller's flexible bookings, and say what is paid back."""
    own, kept = bookings(database, rng, 3), bookings(database, rng, 1, flexible=False)[0]
    name = own[0]["traveller"]
    query = "UPDATE bookings SET traveller = ? WHERE id = ?"
    database.executemany(query, [(name, found["id"]) for found in (*own, kept)])
    look = Call("find_bookings", {"traveller": name})
    own.sort(key=lambda found: str(found["what"]))
    cancels = [Call("cancel_booking", {"booking": found["id"]}) for found in own]
    refund = str(sum(found["price"] for found in own))
    return Problem(
        fields={"traveller": name},
        steps=(look, *cancels, refund),
        says=(refund,),
        unsaid=others(refund, [found["price"] for found in own]),
        busy={"find_bookings": 1, "cancel_booking": 1},
        wrong=(
            (look, *cancels, Call("cancel_booking", {"booking": kept["id"]})),
            (look, *cancels[1:]),
        ),
    )


def _route(database: sqlite3.Connection) -> dict[str, Any]:
    """Return the two cities between which there are several flights."""
    query = "SELECT origin, destination FROM flights GROUP BY 1, 2 ORDER BY COUNT(*) DESC"
    return rows(database, query)[0]


def _by_price(
    database: sqlite3.Connection, route: dict[str, Any]
) -> tuple[Call, list[dict[str, Any]]]:
    """Return the call that finds the flights of a route, and the flights, cheapest first."""
    query = "SELECT * FROM flights WHERE origin = ? AND destination = ? ORDER BY price"
    return Call("find_flights", route), rows(database, query, *route.values())


def _book(flight: dict[str, Any], traveller: str) -> Call:
    return Call("book_flight", {"flight": flight["flight"], "traveller": traveller})


DOMAIN = Domain(
    name="travel",
    policy=POLICY,
    schema=SCHEMA,
    fill=fill,
    tools=TOOLS,
    held_out=True,
    kinds=(
        Kind(
            0,
            book,
            train=("Book flight {flight} for {traveller}.",),
            test=("{traveller} flies with {flight}: book it.",),
        ),
        Kind(
            0,
            cancel,
            train=("Cancel booking {booking}.",),
            test=("Booking {booking} is not needed any more, drop it.",),
        ),
        Kind(
            0,
            stay,
            train=("Book {nights} nights in hotel {hotel} for {traveller}.",),
            test=("{traveller} needs a room in hotel {hotel} for {nights} nights.",),
        ),
        Kind(
            1,
            ask_price,
            train=("What does flight {flight} cost?",),
            test=("How much is a seat of flight {flight}?",),
        ),
        Kind(
            1,
            ask_traveller,
            train=("Whose is booking {booking}?",),
            test=("Tell me who travels with booking {booking}.",),
        ),
        Kind(
            2,
            book_cheapest,
            train=(
                "Book the cheapest flight from {origin} to {destination} for {traveller}. What "
                "does it cost?",
            ),
            test=(
                "{traveller} wants to pay as little as possible from {origin} to {destination}. "
                "Book a flight and say the price.",
            ),
        ),
        Kind(
            2,
            cancel_by_name,
            train=("Cancel what {traveller} has booked with {what}.",),
            test=("{traveller} needs {what} no more, undo that booking.",),
        ),
        Kind(
            3,
            ask_whom,
            train=("Book flight {flight} for my boss.",),
            test=("My boss flies with {flight}: book it.",),
        ),
        Kind(
            3,
            refuse_cancel,
            train=("Cancel booking {booking}, if that may be done.",),
            test=("Should the rules let you, drop booking {booking}.",),
        ),
        Kind(
            4,
            trip,
            train=(
                "Book {traveller} the cheapest flight from {origin} to {destination} that is not "
                "sold out, and {nights} nights there in the cheapest hotel. What is the total?",
            ),
            test=(
                "{traveller} goes from {origin} to {destination} for {nights} nights: book flight "
                "and hotel as cheaply as there is room, and say what both cost together.",
            ),
        ),
        Kind(
            4,
            cancel_all,
            train=(
                "Cancel all bookings of {traveller} that may be cancelled. How much is paid back?",
            ),
            test=("{traveller} stays at home: undo what the rules let you, and add the refunds.",),
        ),
    ),
)
