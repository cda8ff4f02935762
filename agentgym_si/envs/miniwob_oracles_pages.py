"""Solvers of tasks that are small applications: search, tree, book, order, feed."""

from __future__ import annotations

import re
from datetime import datetime

from agentgym_si.envs.miniwob_solving import (
    Solver,
    after,
    choose,
    click,
    fill,
    find,
    ordinal,
    quoted,
    said,
    submit,
)
from agentgym_si.envs.web.snapshot import Element, Page


def navigate_tree(page: Page, actions: tuple[str, ...]) -> str:
    """Click the named entry where it shows, else open the first closed folder."""
    wanted = choose(page, "clickable", name=quoted(page))
    if wanted:
        return click(wanted[0])
    closed = [entry for entry in choose(page, "clickable") if "expandable-hitarea" in entry.name]
    return click(closed[0])


def search_engine(page: Page, actions: tuple[str, ...]) -> str:
    """Search, leaf to the result's page, click it; three results a page."""
    box = find(page, "textbox")
    if (box.value or "") != quoted(page):
        return fill(box, quoted(page))
    links = choose(page, "link")
    if not links:
        return submit(page, "Search")
    results = [link for link in links if not re.fullmatch(r"\d+|[<>]", link.name)]
    leafed = sum(f"click('{box.id}')" != action for action in actions) - 2
    page_wanted, nth = divmod(ordinal(page), 3)
    if leafed < page_wanted:
        return click(find(page, "link", name=">"))
    return click(results[nth])


def phone_book(page: Page, actions: tuple[str, ...]) -> str:
    """Leaf to the contact, click what is asked for."""
    name, kind = said(page, r"Find (\S+) in .* their (.*)\.")
    if not choose(page, "text", name=name):
        return click(find(page, "link", name=">"))
    caption = {"address": "Address:", "phone number": "Phone:", "email": "Email:"}[kind]
    return click(after(page, caption, "link"))


def social_media(page: Page, actions: tuple[str, ...]) -> str:
    """Click a button of the user's post, where needed in its menu."""
    user, button = said(page, r'user (@\w+), click on the "(.*)" button')
    icons = {"Reply": "reply", "Retweet": "retweet", "Like": "like"}
    post = next(element.name for element in choose(page, "text") if f" {user} " in element.name)
    if button in icons:
        return click(_after_named(page, post, icons[button]))
    if not actions:
        return click(_after_named(page, post, "more"))
    start = page.elements.index(find(page, "text", name=post))
    items = [entry for entry in page.elements[start:] if entry.name.startswith(button)]
    return click(items[0])


def _after_named(page: Page, post: str, name: str) -> Element:
    start = page.elements.index(find(page, "text", name=post))
    return next(entry for entry in page.elements[start:] if entry.name == name)


def social_media_all(page: Page, actions: tuple[str, ...]) -> str:
    """Click the button on all, or as many as asked for, of the user's posts."""
    button, user = said(page, r'the "(\w+)" button .* by (@\w+)')
    some = re.search(r"on (\d+) posts?", page.goal)
    icons, mine = [], False
    for element in page.elements:
        if element.role == "text" and "@" in element.name:
            mine = element.name.endswith(f" {user}")
        elif mine and element.name == button.lower():
            icons.append(element)
    for icon in icons[: int(some[1]) if some else None]:
        if "selected" not in icon.states:
            return click(icon)
    return submit(page)


def order_food(page: Page, actions: tuple[str, ...]) -> str:
    """Add each dish the goal names, or as many of a kind as it says, then order."""
    kind = re.search(r"Order (\d+) items? that (?:is|are|contains?) (.*)$", page.goal)
    if kind:
        images = [n for n, element in enumerate(page.elements) if element.name == kind[2]]
        if len(actions) < int(kind[1]):
            rest = page.elements[images[len(actions) % len(images)] :]
            return click(next(element for element in rest if element.name == "+"))
        return submit(page, "Order!")
    dishes = said(page, r"each item: (.*)")[0].split(", ")
    if len(actions) == len(dishes):
        return submit(page, "Order!")
    return click(_after_named(page, dishes[len(actions)], "+"))


def choose_date(page: Page, actions: tuple[str, ...]) -> str:
    """Open the calendar, leaf to the month, click the day."""
    return _leaf_to_date(page, find(page, "textbox")) or submit(page)


def _leaf_to_date(page: Page, box: Element) -> str | None:
    """Return the next step to the goal's date in a box with a calendar; None where it is there."""
    month, day, year = (int(part) for part in said(page, r"(\d\d)/(\d\d)/(\d{4})"))
    if box.value == f"{month:02}/{day:02}/{year}":
        return None
    headings = [text for text in choose(page, "text") if re.fullmatch(r"\w+ \d{4}", text.name)]
    if not headings:
        return click(box)
    shown = datetime.strptime(headings[0].name, "%B %Y")
    if (shown.year, shown.month) == (year, month):
        return click(find(page, "link", name=str(day)))
    back = (shown.year, shown.month) > (year, month)
    return click(find(page, "link", name="Prev" if back else "Next"))


def book_flight(page: Page, actions: tuple[str, ...]) -> str:
    """Choose both airports among the suggestions, and the date; then the flight."""
    if not choose(page, "button", name="Search"):
        return _choose_flight(page)
    cities = said(page, r"from: (.*) to: (.*) on \d")
    for label, city in zip(("From:", "To:"), cities, strict=True):
        box = find(page, "textbox", name=label)
        offered = [
            one
            for one in choose(page, "clickable", "text")
            if city in one.name and one.name.endswith(")")
        ]
        if box.value == city and offered:
            return click(offered[0])
        if not box.value:
            return fill(box, city)
        if city not in box.value or box.value == city:
            return "noop()"
    return _leaf_to_date(page, find(page, "textbox", name="datepicker")) or submit(page, "Search")


def _choose_flight(page: Page) -> str:
    durations = [text.name for text in choose(page, "text") if re.match(r"\d+h", text.name)]
    buttons = [button for button in choose(page, "button") if button.name.startswith("Book")]
    if "cheapest" in page.goal:
        costs = [int(re.sub(r"\D", "", button.name)) for button in buttons]
    else:
        parts = [re.findall(r"\d+", duration) for duration in durations]
        costs = [60 * int(hours) + int(minutes) for hours, minutes in parts]
    return click(buttons[costs.index(min(costs))])


def terminal(page: Page, actions: tuple[str, ...]) -> str:
    """List the files, remove the one with the extension, or without any."""
    match = re.search(r"extension (\.\S+)$", page.goal)
    if len(actions) in (2, 4):
        return "keyboard_press('Enter')"
    if len(actions) < 2:
        return "keyboard_type('ls')" if actions else click(find(page, "text", name="terminal"))
    lines = [text.name for text in choose(page, "text")]
    files = lines[lines.index("user$ ls") + 1].split()
    fitting = [file for file in files if (file.endswith(match[1]) if match else "." not in file)]
    return f"keyboard_type({'rm ' + fitting[0]!r})"


PAGES: dict[str, Solver] = {
    "book-flight": book_flight,
    "book-flight-nodelay": book_flight,
    "choose-date": choose_date,
    "choose-date-easy": choose_date,
    "choose-date-medium": choose_date,
    "choose-date-nodelay": choose_date,
    "social-media-all": social_media_all,
    "social-media-some": social_media_all,
    "terminal": terminal,
    "navigate-tree": navigate_tree,
    "order-food": order_food,
    "phone-book": phone_book,
    "search-engine": search_engine,
    "social-media": social_media,
}
