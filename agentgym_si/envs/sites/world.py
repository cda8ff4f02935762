"""All that the sites hold, as one frozen value: to compare it is to check it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""The week that the calendar shows and trains run in."""


class Product(NamedTuple):
    """A thing to buy."""

    number: int
    name: str
    category: str
    price: int
    """In euro."""
    stars: int
    """1 to 5."""
    stock: int


class Line(NamedTuple):
    """So many of a product, in the cart or in an order."""

    product: int
    pieces: int


class Order(NamedTuple):
    """What was bought."""

    number: int
    lines: tuple[Line, ...]
    name: str
    city: str
    express: bool


class Reply(NamedTuple):
    """An answer in a thread."""

    number: int
    author: str
    text: str
    votes: int


class Thread(NamedTuple):
    """A thread of the forum."""

    number: int
    board: str
    title: str
    author: str
    text: str
    votes: int
    locked: bool
    replies: tuple[Reply, ...]


class Article(NamedTuple):
    """An article of the wiki: a title and facts, in order."""

    title: str
    kind: str
    facts: tuple[tuple[str, str], ...]

    def fact(self, name: str) -> str:
        """Return a fact's value, "" where the article has none of that name."""
        return dict(self.facts).get(name, "")


class Mail(NamedTuple):
    """A message; `folder` is Inbox, Sent, Archive or Trash."""

    number: int
    folder: str
    person: str
    """Who sent it, or in Sent to whom it went."""
    subject: str
    text: str


class Event(NamedTuple):
    """An entry of the calendar."""

    number: int
    title: str
    day: str
    hour: int
    """Full hours of the day, 8 to 19."""


class Train(NamedTuple):
    """A train that runs every day of the week."""

    number: int
    start: str
    goal: str
    leaves: int
    """Full hours."""
    hours: int
    price: int
    """In euro; 0 seats left where it is sold out."""
    seats: int


class Booking(NamedTuple):
    """A seat that was booked."""

    number: int
    train: int
    day: str
    passenger: str


@dataclass(frozen=True)
class World:
    """The state of every site."""

    user: str
    """The first name of who is signed in everywhere."""
    products: tuple[Product, ...] = ()
    cart: tuple[Line, ...] = ()
    orders: tuple[Order, ...] = ()
    threads: tuple[Thread, ...] = ()
    voted: tuple[int, ...] = ()
    """Numbers of the threads that the user has voted for, sorted."""
    articles: tuple[Article, ...] = ()
    mails: tuple[Mail, ...] = ()
    events: tuple[Event, ...] = ()
    trains: tuple[Train, ...] = ()
    bookings: tuple[Booking, ...] = ()

    def change(self, **tables: Any) -> World:
        """Return the world with other tables."""
        return replace(self, **tables)


def find(rows: tuple[T, ...], number: int) -> T | None:
    """Return the row of that `number`, None where there is none."""
    return next((row for row in rows if row.number == number), None)  # type: ignore[attr-defined]


def swap(rows: tuple[T, ...], old: T, new: T | None) -> tuple[T, ...]:
    """Return the rows with one replaced, or left out where `new` is None."""
    changed = [new if row is old else row for row in rows]
    return tuple(row for row in changed if row is not None)


def next_number(rows: tuple[Any, ...]) -> int:
    """Return the number of a new row: one above the highest."""
    return max((row.number for row in rows), default=0) + 1
