"""What stands on the sites, drawn from a seed: invented names, so that nothing is known before."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.sites.forum import BOARDS
from agentgym_si.envs.sites.world import (
    DAYS,
    Article,
    Booking,
    Event,
    Mail,
    Product,
    Reply,
    Thread,
    Train,
    World,
)
from agentgym_si.envs.tools.domain import pick
from agentgym_si.envs.tools.words import ITEMS, NAMES, WORDS

CATEGORIES = ("Garden", "Kitchen", "Travel", "Office", "Games", "Workshop")

TITLES = (
    "How do I repair my {item}?",
    "Which {item} should I buy?",
    "My {item} makes a noise",
    "A good place for a {item}",
    "Is a used {item} worth it?",
    "I painted my {item}",
)

OPINIONS = (
    "I would wait for spring",
    "Mine lasted ten years",
    "Ask the shop first",
    "It needs a little oil",
    "Read the manual again",
    "Never had that problem",
    "Take it to the market",
    "Clean it every week",
)

SUBJECTS = (
    "Dinner plans",
    "Lost keys",
    "The garden wall",
    "Concert tickets",
    "Old photos",
    "School play",
    "A new bicycle",
    "The spare room",
    "Choir practice",
    "Paint colours",
)

ERRANDS = (
    "Could you bring the {item} back?",
    "I still have your {item}.",
    "Have you seen my {item}?",
    "I found a {item} for you.",
    "The {item} is repaired.",
)

EVENTS = (
    "Dentist",
    "Piano lesson",
    "Team meeting",
    "Swimming",
    "Book club",
    "Haircut",
    "Parents evening",
    "Bicycle repair",
    "Yoga",
    "Board games",
)

PROFESSIONS = ("painter", "baker", "pilot", "judge", "singer", "farmer", "doctor", "writer")
CURRENCIES = ("crown", "florin", "thaler", "ducat", "shilling", "guilder")
TOWN_ENDINGS = ("ford", "burg", "haven", "ton", "field", "mouth")


def draw_world(rng: np.random.Generator) -> World:
    """Return a world whose every word is drawn from `rng`."""
    user, *people = pick(rng, NAMES, 9)
    towns = _towns(rng)
    return World(
        user=user,
        products=_products(rng),
        threads=_threads(rng, people),
        articles=_articles(rng, towns),
        mails=_mails(rng, people),
        events=_events(rng),
        trains=(trains := _trains(rng, towns)),
        bookings=_bookings(rng, trains, people),
    )


def _towns(rng: np.random.Generator) -> list[str]:
    endings = [TOWN_ENDINGS[index] for index in rng.integers(len(TOWN_ENDINGS), size=5)]
    return [
        f"{word.capitalize()}{ending}"
        for word, ending in zip(pick(rng, WORDS, 5), endings, strict=True)
    ]


def _products(rng: np.random.Generator) -> tuple[Product, ...]:
    """Return four products in each of four categories, prices and ratings different in each."""
    words, items = pick(rng, WORDS, 16), pick(rng, ITEMS, 16)
    products = []
    for place, category in enumerate(pick(rng, CATEGORIES, 4)):
        prices = pick(rng, range(5, 100), 4)
        stars = pick(rng, range(1, 6), 4)
        for offset in range(4):
            at = 4 * place + offset
            name = f"{words[at].capitalize()} {items[at].capitalize()}"
            stock = int(rng.integers(6, 40))
            products.append(Product(at + 1, name, category, prices[offset], stars[offset], stock))
    return tuple(products)


def _threads(rng: np.random.Generator, people: list[str]) -> tuple[Thread, ...]:
    """Return three threads in each of three boards, votes different in each."""
    items, threads = pick(rng, ITEMS, 9), []
    for place, board in enumerate(sorted(pick(rng, BOARDS, 3))):
        votes = pick(rng, range(2, 60), 3)
        titles = pick(rng, TITLES, 3)
        for offset in range(3):
            at = 3 * place + offset
            author, *others = pick(rng, people, 5)
            count = int(rng.integers(2, 5))
            replies = tuple(
                Reply(number, person, text, given)
                for number, (person, text, given) in enumerate(
                    zip(
                        others[:count],
                        pick(rng, OPINIONS, count),
                        pick(rng, range(30), count),
                        strict=True,
                    ),
                    1,
                )
            )
            title = titles[offset].format(item=items[at])
            text = f"Dear all, this is about my {items[at]}."
            threads.append(
                Thread(at + 1, board, title, author, text, votes[offset], False, replies)
            )
    return tuple(threads)


def _articles(rng: np.random.Generator, towns: list[str]) -> tuple[Article, ...]:
    """Return two countries, five towns and five people, linked with each other."""
    countries = [f"{word.capitalize()}land" for word in pick(rng, WORDS, 2)]
    people = [
        f"{first} {last.capitalize()}"
        for first, last in zip(pick(rng, NAMES, 5), pick(rng, WORDS, 5), strict=True)
    ]
    home = [0, 1, *rng.integers(2, size=3).tolist()]
    sizes, years = pick(rng, range(10, 900), 5), pick(rng, range(900, 1900), 5)
    births = pick(rng, range(1930, 2000), 5)
    work, money = pick(rng, PROFESSIONS, 5), pick(rng, CURRENCIES, 2)
    millions = pick(rng, range(2, 90), 2)
    lives = pick(rng, towns, 5)
    return (
        *(
            Article(
                country,
                "Countries",
                (
                    ("Capital", towns[place]),
                    ("Population", f"{millions[place]} million"),
                    ("Currency", money[place]),
                ),
            )
            for place, country in enumerate(countries)
        ),
        *(
            Article(
                town,
                "Towns",
                (
                    ("Country", countries[home[place]]),
                    ("Population", f"{sizes[place]} thousand"),
                    ("Founded", str(years[place])),
                    ("Mayor", people[place]),
                ),
            )
            for place, town in enumerate(towns)
        ),
        *(
            Article(
                person,
                "People",
                (("Born", str(births[place])), ("Work", work[place]), ("Home", lives[place])),
            )
            for place, person in enumerate(people)
        ),
    )


def _mails(rng: np.random.Generator, people: list[str]) -> tuple[Mail, ...]:
    subjects, senders = pick(rng, SUBJECTS, 6), pick(rng, people, 6)
    texts = [
        ERRANDS[index].format(item=item)
        for index, item in zip(rng.integers(len(ERRANDS), size=6), pick(rng, ITEMS, 6), strict=True)
    ]
    return tuple(
        Mail(number, "Inbox", sender, subject, text)
        for number, (sender, subject, text) in enumerate(
            zip(senders, subjects, texts, strict=True), 1
        )
    )


def _events(rng: np.random.Generator) -> tuple[Event, ...]:
    """Return seven events on different days and hours, two days free."""
    days = pick(rng, DAYS, 5)
    titles, hours = pick(rng, EVENTS, 7), pick(rng, range(8, 20), 7)
    return tuple(
        Event(number, title, days[(number - 1) % 5], hour)
        for number, (title, hour) in enumerate(zip(titles, hours, strict=True), 1)
    )


def _trains(rng: np.random.Generator, towns: list[str]) -> tuple[Train, ...]:
    """Return three trains on each of three ways, prices and hours different on each."""
    start, *others = pick(rng, towns, 4)
    ways = ((start, others[0]), (others[0], others[1]), (start, others[2]))
    numbers, trains = pick(rng, range(100, 999), 9), []
    for place, (origin, goal) in enumerate(ways):
        prices, leaves = pick(rng, range(12, 99), 3), sorted(pick(rng, range(6, 16), 3))
        hours = pick(rng, range(1, 8), 3)
        for offset in range(3):
            seats = int(rng.integers(2, 30))
            trains.append(
                Train(
                    numbers[3 * place + offset],
                    origin,
                    goal,
                    leaves[offset],
                    hours[offset],
                    prices[offset],
                    seats,
                )
            )
    return tuple(trains)


def _bookings(
    rng: np.random.Generator, trains: tuple[Train, ...], people: list[str]
) -> tuple[Booking, ...]:
    chosen, days = pick(rng, trains, 2), pick(rng, DAYS, 2)
    passengers = pick(rng, people, 2)
    return tuple(
        Booking(number, train.number, day, passenger)
        for number, (train, day, passenger) in enumerate(
            zip(chosen, days, passengers, strict=True), 1
        )
    )
