"""What somebody wants to do on a page, by what is written there; and the action it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentgym_si.envs.web.snapshot import Element


class Intent(NamedTuple):
    """A wish such as `click "Search"`; `name` is a control's, `text` what goes into it."""

    verb: str
    name: str
    text: str = ""


CONTROLS = {
    "click": ("link", "button", "checkbox"),
    "fill": ("textbox", "textarea"),
    "choose": ("combobox",),
}


def click(name: str) -> Intent:
    """Click a link, button or checkbox."""
    return Intent("click", name)


def fill(name: str, text: str) -> Intent:
    """Put a text into a box."""
    return Intent("fill", name, text)


def choose(name: str, option: str) -> Intent:
    """Choose an option of a list."""
    return Intent("choose", name, option)


def visit(url: str) -> Intent:
    """Go to a page by its URL."""
    return Intent("visit", url)


def back() -> Intent:
    """Go back to the page before."""
    return Intent("back", "")


def say(text: str) -> Intent:
    """Tell the user something, which ends the episode."""
    return Intent("say", text)


def give_up(reason: str) -> Intent:
    """Say that it cannot be done, which ends the episode."""
    return Intent("give up", reason)


def action_of(intent: Intent, elements: Sequence[Element]) -> str:
    """Return the action's text on a page; raises LookupError where no such control is on it."""
    verb, name, text = intent
    spoken = {
        "visit": f"goto({name!r})",
        "back": "go_back()",
        "say": f"send_msg_to_user({name!r})",
        "give up": f"report_infeasible({name!r})",
    }
    if verb in spoken:
        return spoken[verb]
    found = [element for element in elements if element.name == name]
    found = [element for element in found if element.role in CONTROLS[verb]]
    if not found:
        raise LookupError(f"expected something to {verb} called {name!r} on the page")
    place = found[0].id
    action = "select_option" if verb == "choose" else verb
    return f"{action}('{place}')" if verb == "click" else f"{action}('{place}', {text!r})"
