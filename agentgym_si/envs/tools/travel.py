"""The world of the domain `travel`: flights, hotels and bookings."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

import numpy as np

from agentgym_si.envs.tools.domain import pick, row, rows
from agentgym_si.envs.tools.words import CITIES, NAMES, WORDS
from agentgym_si.errors import ActionError

POLICY = """Policy: Only flexible bookings may be cancelled. If the policy forbids what is wanted, \
change nothing and tell the user the price of the booking."""

SCHEMA = """
CREATE TABLE flights (
    flight TEXT PRIMARY KEY, origin TEXT NOT NULL, destination TEXT NOT NULL,
    price INT NOT NULL, seats INT NOT NULL CHECK (seats >= 0)
);
CREATE TABLE hotels (
    hotel TEXT PRIMARY KEY, city TEXT NOT NULL, price INT NOT NULL, rooms INT NOT NULL
);
CREATE TABLE bookings (
    id INTEGER PRIMARY KEY, traveller TEXT NOT NULL, what TEXT NOT NULL, price INT NOT NULL,
    flexible INT NOT NULL, UNIQUE (traveller, what)
);
"""

Flight = Annotated[str, {"description": "its code"}]
City = Annotated[str, {"description": "name of the city"}]
Hotel = Annotated[str, {"description": "name of the hotel"}]
Traveller = Annotated[str, {"description": "first name"}]
Nights = Annotated[int, {"minimum": 1, "maximum": 30, "description": "how many"}]
Booking = Annotated[int, {"description": "number of the booking"}]


def fill(database: sqlite3.Connection, rng: np.random.Generator) -> None:
    """Put in 12 flights, 4 of them on one route, 8 hotels in 4 cities and 10 bookings."""
    cities, codes = pick(rng, CITIES, 10), (100 + rng.choice(900, 12, replace=False)).tolist()
    prices = (60 + rng.choice(800, 30, replace=False)).tolist()
    flights = [
        (f"{chr(65 + code % 26)}{chr(65 + code // 7 % 26)}{code}", *route, price, 9)
        for place, (code, price) in enumerate(zip(codes, prices[:12], strict=True))
        for route in [(cities[place // 4], cities[place % 4 + 4] if place > 3 else cities[9])]
    ]
    database.executemany("INSERT INTO flights VALUES (?, ?, ?, ?, ?)", flights)
    hotels = [
        (name, cities[6 + place // 2], price, 9)
        for place, (name, price) in enumerate(zip(pick(rng, WORDS, 8), prices[12:20], strict=True))
    ]
    database.executemany("INSERT INTO hotels VALUES (?, ?, ?, ?)", hotels)
    numbers = (10_000 + rng.choice(90_000, 10, replace=False)).tolist()
    whats = pick(rng, [*(flight[0] for flight in flights), *(hotel[0] for hotel in hotels)], 10)
    bookings = [
        (number, traveller, what, price, int(place < 7))
        for place, (number, traveller, what, price) in enumerate(
            zip(numbers, pick(rng, NAMES, 10), whats, prices[20:], strict=True)
        )
    ]
    database.executemany("INSERT INTO bookings VALUES (?, ?, ?, ?, ?)", bookings)


def get_flight(database: sqlite3.Connection, flight: Flight) -> dict[str, Any]:
    """Show a flight and its free seats."""
    query = "SELECT * FROM flights WHERE flight = ?"
    return row(database, query, flight, missing=f"no flight {flight}")


def find_flights(
    database: sqlite3.Connection, origin: City, destination: City
) -> list[dict[str, Any]]:
    """List code and price of the flights between two cities."""
    query = "SELECT flight, price FROM flights WHERE origin = ? AND destination = ? ORDER BY flight"
    return rows(database, query, origin, destination)


def find_hotels(database: sqlite3.Connection, city: City) -> list[dict[str, Any]]:
    """List the hotels of a city with their price a night."""
    query = "SELECT hotel, price FROM hotels WHERE city = ? ORDER BY hotel"
    return rows(database, query, city)


def book_flight(
    database: sqlite3.Connection, flight: Flight, traveller: Traveller
) -> dict[str, Any]:
    """Book a seat; return the number of the booking and its price."""
    found = get_flight(database, flight)
    if not found["seats"]:
        raise ActionError(f"flight {flight} is sold out")
    database.execute("UPDATE flights SET seats = seats - 1 WHERE flight = ?", (flight,))
    return _book(database, traveller, flight, found["price"])


def book_hotel(
    database: sqlite3.Connection, hotel: Hotel, traveller: Traveller, nights: Nights
) -> dict[str, Any]:
    """Book a room; return the number of the booking and its price."""
    query = "SELECT * FROM hotels WHERE hotel = ?"
    found = row(database, query, hotel, missing=f"no hotel {hotel}")
    return _book(database, traveller, hotel, found["price"] * nights)


def get_booking(database: sqlite3.Connection, booking: Booking) -> dict[str, Any]:
    """Show a booking."""
    query = "SELECT * FROM bookings WHERE id = ?"
    found = row(database, query, booking, missing=f"no booking {booking}")
    return {**found, "flexible": bool(found["flexible"])}


def find_bookings(database: sqlite3.Connection, traveller: Traveller) -> list[dict[str, Any]]:
    """List a traveller's bookings."""
    query = "SELECT id, what, flexible FROM bookings WHERE traveller = ? ORDER BY what"
    found = rows(database, query, traveller)
    return [{**booking, "flexible": bool(booking["flexible"])} for booking in found]


def cancel_booking(database: sqlite3.Connection, booking: Booking) -> dict[str, Any]:
    """Cancel a booking; return what is paid back."""
    found = get_booking(database, booking)
    database.execute("DELETE FROM bookings WHERE id = ?", (booking,))
    query = "UPDATE flights SET seats = seats + 1 WHERE flight = ?"
    database.execute(query, (found["what"],))
    return {"refund": found["price"]}


TOOLS = (
    get_flight,
    find_flights,
    find_hotels,
    book_flight,
    book_hotel,
    get_booking,
    find_bookings,
    cancel_booking,
)


def _book(database: sqlite3.Connection, traveller: str, what: str, price: int) -> dict[str, Any]:
    query = "INSERT INTO bookings (traveller, what, price, flexible) VALUES (?, ?, ?, 1)"
    booking = database.execute(query, (traveller, what, price)).lastrowid
    return {"booking": booking, "price": price}
