"""The ways that the field writes web actions, each read into the one `Call`.

BrowserGym's calls (`click('12')`), WebArena's brackets (`type [12] [text] [1]`; WebEvolver's
variant too), WebVoyager's sentences (`Action: Type [12]; text`) and tool calls in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from agentgym_si.envs.calls import OPENING, parse_calls
from agentgym_si.envs.web.actions import ACTIONS, MAX_CHARACTERS, Call, bind, parse
from agentgym_si.errors import ActionError

PAGE = 0.8
"""Of the window's height that a scroll without a distance moves."""

INFEASIBLE = frozenset({"n/a", "na", "infeasible", "impossible"})
"""Answers that say that there is none."""

_JSON = re.compile(r"\s*[{\[]")
_FENCED_JSON = re.compile(r"\s*```(?:json)?\s*([{\[].*[}\]])\s*```\s*", re.DOTALL)
_ARGUMENT = r"\s*\[((?:[^\[\]]|\[[^\[\]]*\])*)\]"
_BRACKETS = re.compile(
    r"(?:^|[`>:]\s*|\b(?:is|do|action)\s+)"
    r"(click|type|hover|press|scroll|new_tab|tab_focus|close_tab|goto|go_back|goback|go_forward|"
    r"stop|restart|wait)"
    rf"((?:{_ARGUMENT})*)[\s`.]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(
    r"^\s*action\s*:\s*"
    r"(click|type|scroll|wait|goback|google|restart|answer)\b\s*(.*)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_ACTION_LINE = re.compile(r"^\s*action\s*:(.*)", re.IGNORECASE | re.MULTILINE)
_ID = r"\[?\s*(\d{1,9}|window)\s*\]?"
_TARGET = re.compile(rf"{_ID}\s*;?\s*(.*)", re.IGNORECASE | re.DOTALL)

Build = Callable[[list[str], float], tuple[str, Mapping[str, Any]]]
"""From the arguments and a page's height in pixels to an action and its arguments by name."""


def parse_action(text: str, page_height: float = 214.0) -> Call:
    """Return the one action in `text`, in whichever of the four ways it is written.

    `page_height` in pixels says how far a scroll without a distance goes. Raises ActionError.
    """
    if len(text) > MAX_CHARACTERS:
        raise ActionError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    fenced = _FENCED_JSON.fullmatch(text)
    if fenced is not None:
        text = fenced[1]
    if OPENING in text or _JSON.match(text):
        return _tool_call(text)
    sentence = _SENTENCE.search(text)
    brackets = list(_BRACKETS.finditer(text))
    if sentence is not None and "(" not in sentence[0].split("\n")[0]:
        _refuse_several(sentence)
        if sentence.start(1) not in [match.start(1) for match in brackets]:
            return _sentence(sentence, page_height)
    if brackets and not _calls(text):
        return _bracketed(brackets, page_height)
    return parse(text)


def _refuse_several(sentence: re.Match[str]) -> None:
    """Raise ActionError where a text has other lines that begin with `Action:`, too."""
    lines = _ACTION_LINE.findall(sentence[0])
    actions = sorted({" ".join(line.lower().split()) for line in lines})
    if len(actions) > 1:
        raise ActionError(f"expected one action, got {' and '.join(actions)[:200]}")


def _calls(text: str) -> bool:
    return any(f"{name}(" in text for name in ACTIONS)


def _tool_call(text: str) -> Call:
    calls = parse_calls(text)
    if len(calls) != 1:
        raise ActionError(f"expected one action, got {len(calls)} tool calls")
    if not isinstance(calls[0].arguments, Mapping):
        raise ActionError(f"expected arguments by name in the call of {calls[0].name!r}")
    return bind(calls[0].name, calls[0].arguments)


def _bracketed(found: list[re.Match[str]], height: float) -> Call:
    different = {f"{match[1].lower()}{match[2].rstrip()}": match for match in found}
    if len(different) > 1:
        raise ActionError(f"expected one action, got {' and '.join(sorted(different))[:200]}")
    match = found[0]
    arguments = re.findall(_ARGUMENT, match[2])
    name, values = _BRACKETED[match[1].lower()](arguments, height)
    return bind(name, values)


def _sentence(match: re.Match[str], height: float) -> Call:
    verb, rest = match[1].lower(), match[2].strip()
    if verb == "answer":
        return _answer(_bare(rest.lstrip("; ")))
    if verb in ("wait", "goback", "google", "restart"):
        return bind({"wait": "noop", "goback": "go_back"}.get(verb, "go_home"), {})
    target = _TARGET.match(rest)
    if target is None:
        raise ActionError(f"expected {verb} with an element's number, got {rest[:80]!r}")
    number, more = target[1].lower(), _bare(target[2].split("\n")[0])
    if verb == "click":
        return bind("click", {"bid": number})
    if verb == "type":
        if not target[2].strip():
            raise ActionError(f"expected 'Type [{number}]; text', got no text")
        return bind("type", {"bid": number, "value": more, "enter": True})
    name, values = _scroll([more], height)
    return bind(name, values)


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _answer(text: str) -> Call:
    if text.strip().lower() in INFEASIBLE:
        return bind("report_infeasible", {"reason": text})
    return bind("send_msg_to_user", {"text": text})


def _first(arguments: list[str]) -> str:
    return arguments[0] if arguments else ""


def _scroll(arguments: list[str], height: float) -> tuple[str, Mapping[str, Any]]:
    direction = _first(arguments).strip().lower().removeprefix("direction=")
    if direction not in ("up", "down"):
        raise ActionError(f"expected to scroll up or down, got {direction[:40]!r}")
    distance = PAGE * height * (1 if direction == "down" else -1)
    return "scroll", {"delta_x": 0, "delta_y": distance}


def _type(arguments: list[str], _: float) -> tuple[str, Mapping[str, Any]]:
    if not 2 <= len(arguments) <= 3:
        raise ActionError(f"expected type [id] [text] [0 or 1], got {len(arguments)} arguments")
    enter = arguments[2].removeprefix("press_enter_after=").strip() if arguments[2:] else "1"
    if enter not in ("0", "1"):
        raise ActionError(f"expected 0 or 1 for pressing Enter, got {enter[:40]!r}")
    return "type", {"bid": arguments[0], "value": arguments[1], "enter": enter == "1"}


def _stop(arguments: list[str], _: float) -> tuple[str, Mapping[str, Any]]:
    answer = _answer(_first(arguments))
    (parameter,) = ACTIONS[answer.name]
    return answer.name, {parameter.name: answer.arguments[0]}


def _one(name: str, argument: str) -> Build:
    return lambda arguments, _: (name, {argument: _first(arguments)} if arguments else {})


def _none(name: str) -> Build:
    return lambda _arguments, _height: (name, {})


def _tab(arguments: list[str], _: float) -> tuple[str, Mapping[str, Any]]:
    number = _first(arguments).strip()
    return "tab_focus", {"index": int(number) if number.isdecimal() else number}


_BRACKETED: Mapping[str, Build] = {
    "click": _one("click", "bid"),
    "hover": _one("hover", "bid"),
    "type": _type,
    "press": _one("keyboard_press", "key_comb"),
    "scroll": _scroll,
    "new_tab": _none("new_tab"),
    "tab_focus": _tab,
    "close_tab": _none("tab_close"),
    "goto": _one("goto", "url"),
    "go_back": _none("go_back"),
    "goback": _none("go_back"),
    "go_forward": _none("go_forward"),
    "stop": _stop,
    "restart": _none("go_home"),
    "wait": _none("noop"),
}
