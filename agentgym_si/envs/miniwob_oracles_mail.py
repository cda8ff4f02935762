"""Solvers of tasks in an inbox: requests in fixed words, and in anybody's.

Five of the page's 137 requests to forward name the two people the wrong way round ("Forward all
messages from" whom they are to go to). No reading of those is right; at such seeds there is no
full reward.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agentgym_si.envs.miniwob_solving import (
    Recaller,
    Solver,
    after,
    choose,
    click,
    fill,
    find,
    quoted,
    said,
)
from agentgym_si.envs.web.snapshot import Page

THROW_AWAY = r"delet|trash|remov|rid of|throw|recycl|don't want|out of my inbox"
"""What a request to delete says in one way or another; a request that says none is to star."""


class Request(NamedTuple):
    """What is to be done with an email."""

    task: str
    """`forward`, `reply`, `delete` or `important`."""
    sender: str
    text: str = ""
    """To whom to forward, or what to reply."""


def email_inbox(page: Page, actions: tuple[str, ...]) -> str:
    """Delete, mark, answer or forward the email by someone."""
    sender = said(page, r"email by (\w[\w-]*)")[0]
    if "reply" in page.goal:
        return carry_out(Request("reply", sender, quoted(page)), page, actions)
    if "forward" in page.goal:
        receiver = said(page, r"email to (\S+?)\.?$")[0]
        return carry_out(Request("forward", sender, receiver), page, actions)
    task = "delete" if "delete" in page.goal else "important"
    return carry_out(Request(task, sender), page, actions)


def email_in_words(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
    """Do what the goal asks in its own words of an email in the inbox, the first page."""
    names = [text.name for text in choose(pages[0], "text")]
    return carry_out(read_request(pages[0].goal, names), pages[-1], actions)


def carry_out(request: Request, page: Page, actions: tuple[str, ...]) -> str:
    """Take the next step of a request."""
    if request.task == "delete":
        return click(after(page, request.sender, "clickable"))
    if request.task == "important":
        trash = after(page, request.sender, "clickable")
        return click(page.elements[page.elements.index(trash) + 1])
    reply = request.task == "reply"
    if not actions:
        return click(find(page, "text", name=request.sender))
    if len(actions) == 1:
        return click(find(page, "clickable", name="Reply" if reply else "Forward"))
    if len(actions) == 2:
        return fill(find(page, "textarea" if reply else "textbox"), request.text)
    return click(find(page, "clickable", name="send-reply" if reply else "send-forward"))


def read_request(goal: str, names: Sequence[str]) -> Request:
    """Understand a request about an email by one of `names`."""
    message = re.search(r'"+ *([^"]+?) *"+', goal)
    told = goal.replace(message[0], "") if message else goal
    people = [name for name in dict.fromkeys(names) if _names(told, name)]
    if message:
        return Request("reply", people[0], message[1])
    if len(people) > 1:
        return Request("forward", *sorted(people[:2], key=lambda name: _receives(told, name)))
    thrown = re.search(THROW_AWAY, told, re.IGNORECASE)
    return Request("delete" if thrown else "important", people[0])


def _names(goal: str, name: str) -> bool:
    return re.search(rf"{re.escape(name)}(?:s?\b|')", goal) is not None


def _receives(goal: str, name: str) -> int:
    """Return how much a request to forward says that it is to this one: 1, 0 or -1."""
    if re.search(rf"\bto {name}\b", goal):
        return 1
    wrote = re.search(rf"\b(?:from|by) {name}\b|{name}(?:'?s\b| sent| wrote)", goal)
    return -1 if wrote else 0


MAIL: dict[str, Solver] = {
    "email-inbox": email_inbox,
    "email-inbox-delete": email_inbox,
    "email-inbox-forward": email_inbox,
    "email-inbox-important": email_inbox,
    "email-inbox-noscroll": email_inbox,
    "email-inbox-reply": email_inbox,
    "email-inbox-star-reply": email_inbox,
}

MAIL_IN_WORDS: dict[str, Recaller] = {
    "email-inbox-forward-nl": email_in_words,
    "email-inbox-forward-nl-turk": email_in_words,
    "email-inbox-nl-turk": email_in_words,
}
