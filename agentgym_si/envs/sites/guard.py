"""What may be done on the sites, checked before a browser is asked: the same for every browser.

What is refused here, both back ends refuse in the same words; what passes, both carry out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from agentgym_si.envs.sites.textual import View
from agentgym_si.envs.web.actions import Call, describe
from agentgym_si.envs.web.snapshot import Element
from agentgym_si.errors import ActionError

MOST_TYPED = 400
"""Characters that are put into a box in one action."""

MOST_URL = 500

_URL = re.compile(
    r"(?:http://)?(?P<host>[a-z0-9.-]{1,60})"
    r"(?P<path>(?:/[A-Za-z0-9_-]*)*)"
    r"(?P<query>\?[A-Za-z0-9_=&+*%.-]*)?",
)


def check(call: Call, view: View, hosts: Collection[str]) -> Call:
    """Return the call as it is carried out; raises ActionError for what cannot be done here."""
    if call.name not in _CHECKS:
        known = ", ".join(_CHECKS)
        raise ActionError(f"expected one of {known}, got {call.name}")
    return Call(call.name, _CHECKS[call.name](view, hosts, *call.arguments))


def clean_url(url: str, hosts: Collection[str]) -> str:
    """Return a URL as a browser would show it; raises ActionError where it leads off the sites."""
    match = _URL.fullmatch(url.strip())
    if match is None or match["host"] not in hosts or len(url) > MOST_URL:
        raise ActionError(
            f"blocked url {url[:80]!r}; expected one such as 'http://{min(hosts)}/', at one of "
            f"{', '.join(sorted(hosts))}"
        )
    query = match["query"] or ""
    if re.search(r"%(?![0-9A-Fa-f]{2})", query):
        raise ActionError(f"expected an escape such as %20 in the url, got {url[:80]!r}")
    return f"http://{match['host']}{match['path'] or '/'}{query}"


def _element(view: View, bid: int) -> Element:
    if not 1 <= bid <= len(view.elements):
        raise ActionError(f"unknown id {bid}")
    return view.elements[bid - 1]


def _of(view: View, bid: int, roles: Collection[str], what: str) -> Element:
    element = _element(view, bid)
    if element.role not in roles:
        raise ActionError(f"expected {what}, got [{bid}], a {element.role}")
    return element


def _nothing(*_: Any) -> tuple[Any, ...]:
    return ()


def _noop(_: View, __: Collection[str], wait: float) -> tuple[Any, ...]:
    return (wait,)


def _click(
    view: View, _: Collection[str], bid: int, button: str, modifiers: tuple[str, ...]
) -> tuple[Any, ...]:
    roles = ("link", "button", "checkbox", "textbox", "textarea")
    _of(view, bid, roles, "a link, a button or a box")
    if button != "left" or modifiers:
        raise ActionError("expected the left button and no modifiers")
    return bid, button, modifiers


def _press(view: View, _: Collection[str], bid: int, key: str) -> tuple[Any, ...]:
    _of(view, bid, ("link", "button", "textbox"), "a link, a button or a textbox")
    if key != "Enter":
        raise ActionError(f"expected the key 'Enter', got {key[:40]!r}")
    return bid, key


def _fill(view: View, _: Collection[str], bid: int, value: str) -> tuple[Any, ...]:
    _of(view, bid, ("textbox", "textarea"), "a textbox")
    text = " ".join(value.split())
    if len(text) > MOST_TYPED or not text.isprintable():
        raise ActionError(f"expected at most {MOST_TYPED} characters that can be typed")
    return bid, text


def _type(view: View, hosts: Collection[str], bid: int, value: str, enter: bool) -> tuple[Any, ...]:
    if enter:
        _of(view, bid, ("textbox",), "a textbox")
    return *_fill(view, hosts, bid, value), enter


def _clear(view: View, _: Collection[str], bid: int) -> tuple[Any, ...]:
    _of(view, bid, ("textbox", "textarea"), "a textbox")
    return (bid,)


def _select(view: View, _: Collection[str], bid: int, options: tuple[str, ...]) -> tuple[Any, ...]:
    offered = _of(view, bid, ("combobox",), "a combobox").options
    if len(options) != 1 or options[0] not in offered:
        raise ActionError(f"expected one of the options {json.dumps(offered)}")
    return bid, options


def _scroll(_: View, __: Collection[str], across: float, down: float) -> tuple[Any, ...]:
    return across, down


def _goto(_: View, hosts: Collection[str], url: str) -> tuple[Any, ...]:
    return (clean_url(url, hosts),)


def _tab_focus(_: View, __: Collection[str], index: int) -> tuple[Any, ...]:
    return (index,)


_CHECKS: Mapping[str, Callable[..., tuple[Any, ...]]] = {
    "click": _click,
    "fill": _fill,
    "type": _type,
    "clear": _clear,
    "select_option": _select,
    "press": _press,
    "scroll": _scroll,
    "goto": _goto,
    "go_home": _nothing,
    "go_back": _nothing,
    "go_forward": _nothing,
    "new_tab": _nothing,
    "tab_focus": _tab_focus,
    "tab_close": _nothing,
    "noop": _noop,
}

KNOWN = ", ".join(describe(name) for name in _CHECKS)
"""Every action on a page, as a policy is told."""
