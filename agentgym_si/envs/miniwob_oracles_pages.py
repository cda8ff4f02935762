"""Solvers of tasks that are small applications: mail, search, tree, book, order, feed."""

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


def email_inbox(page: Page, actions: tuple[str, ...]) -> str:
    """Delete, mark, answer or forward the email by someone."""
    sender = said(page, r"email by (\w[\w-]*)")[0]
    for word, icon in (("delete", "trash"), ("important", "star")):
        if f"to {word} it" in page.goal or f"as {word}" in page.goal:
            return (
                click(after(page, sender, "clickable")) if icon == "trash" else _star(page, sender)
            )
    reply = "reply" in page.goal
    if not actions:
        return click(find(page, "text", name=sender))
    if len(actions) == 1:
        return click(find(page, "clickable", name="Reply" if reply else "Forward"))
    if len(actions) == 2:
        box = find(page, "textarea" if reply else "textbox")
        return fill(box, quoted(page) if reply else said(page, r"email to (\S+?)\.?$")[0])
    return click(find(page, "clickable", name="send-reply" if reply else "send-forward"))


def _star(page: Page, sender: str) -> str:
    trash = after(page, sender, "clickable")
    return click(page.elements[page.elements.index(trash) + 1])


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
    month, day, year = (int(part) for part in said(page, r"(\d\d)/(\d\d)/(\d{4})"))
    box = find(page, "textbox")
    if box.value == f"{month:02}/{day:02}/{year}":
        return submit(page)
    headings = [text for text in choose(page, "text") if re.fullmatch(r"\w+ \d{4}", text.name)]
    if not headings:
        return click(box)
    shown = datetime.strptime(headings[0].name, "%B %Y")
    if (shown.year, shown.month) == (year, month):
        return click(find(page, "link", name=str(day)))
    back = (shown.year, shown.month) > (year, month)
    return click(find(page, "link", name="Prev" if back else "Next"))


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
    "choose-date": choose_date,
    "choose-date-easy": choose_date,
    "choose-date-medium": choose_date,
    "choose-date-nodelay": choose_date,
    "social-media-all": social_media_all,
    "social-media-some": social_media_all,
    "terminal": terminal,
    "email-inbox": email_inbox,
    "email-inbox-delete": email_inbox,
    "email-inbox-forward": email_inbox,
    "email-inbox-important": email_inbox,
    "email-inbox-noscroll": email_inbox,
    "email-inbox-reply": email_inbox,
    "email-inbox-star-reply": email_inbox,
    "navigate-tree": navigate_tree,
    "order-food": order_food,
    "phone-book": phone_book,
    "search-engine": search_engine,
    "social-media": social_media,
}
