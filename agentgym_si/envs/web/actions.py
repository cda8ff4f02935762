"""The action language: one call with literal arguments, in BrowserGym's names and order.

Untrusted text is parsed with `ast` and checked here; nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_si.errors import ActionError

MAX_CHARACTERS = 1 << 16
MAX_KEY = 60
MAX_ATTEMPTS = 20
"""Opening parentheses tried before the text is given up as noise."""


@dataclass(frozen=True)
class Parameter:
    """An argument of an action: its name, what it must be, and its default (None: required)."""

    name: str
    kind: str
    default: Any = None


@dataclass(frozen=True)
class Call:
    """One parsed action; `arguments` are complete, checked and in order."""

    name: str
    arguments: tuple[Any, ...] = ()


_BID = Parameter("bid", "id")
_BUTTON = Parameter("button", "button", "left")
_MODIFIERS = Parameter("modifiers", "modifiers", ())
_KEY = Parameter("key_comb", "key")


def _point(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "number") for name in names)


ACTIONS: Mapping[str, tuple[Parameter, ...]] = {
    "noop": (Parameter("wait_ms", "number", 0),),
    "click": (_BID, _BUTTON, _MODIFIERS),
    "dblclick": (_BID, _BUTTON, _MODIFIERS),
    "hover": (_BID,),
    "fill": (_BID, Parameter("value", "text")),
    "type": (_BID, Parameter("value", "text"), Parameter("enter", "switch", False)),
    "clear": (_BID,),
    "focus": (_BID,),
    "press": (_BID, _KEY),
    "select_option": (_BID, Parameter("options", "options")),
    "drag_and_drop": (Parameter("from_bid", "id"), Parameter("to_bid", "id")),
    "scroll": _point("delta_x", "delta_y"),
    "keyboard_press": (_KEY,),
    "keyboard_type": (Parameter("text", "text"),),
    "mouse_move": _point("x", "y"),
    "mouse_down": (*_point("x", "y"), _BUTTON),
    "mouse_up": (*_point("x", "y"), _BUTTON),
    "mouse_click": (*_point("x", "y"), _BUTTON),
    "mouse_dblclick": (*_point("x", "y"), _BUTTON),
    "mouse_drag_and_drop": _point("from_x", "from_y", "to_x", "to_y"),
    "goto": (Parameter("url", "text"),),
    "go_home": (),
    "go_back": (),
    "go_forward": (),
    "new_tab": (),
    "tab_focus": (Parameter("index", "index"),),
    "tab_close": (),
    "send_msg_to_user": (Parameter("text", "text"),),
    "report_infeasible": (Parameter("reason", "text", ""),),
}

_KNOWN = re.compile(rf"\b({'|'.join(ACTIONS)})\s*\(")
_ANY = re.compile(r"\b([A-Za-z_]\w{0,40})\s*\(")
_FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LEGAL_ESCAPES = frozenset("\\'\"abfnrtv0xuUN\n")
_MODIFIER_KEYS = ("Alt", "Control", "Meta", "Shift")


def parse(text: str) -> Call:
    """Return the one action in `text`, prose or a code fence around it allowed.

    Raises ActionError, which says what was expected and what came.
    """
    if len(text) > MAX_CHARACTERS:
        raise ActionError(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    fences = _FENCE.findall(text)
    calls = _find_calls(fences[-1] if fences else text)
    if len(calls) > 1:
        raise ActionError(f"expected one action, got {' and '.join(sorted(calls))}")
    if not calls:
        raise ActionError(_explain(text))
    source = next(iter(calls))
    return _check(source, _parse_call(source))


def bind(name: str, values: Mapping[str, Any]) -> Call:
    """Return the call of an action with its arguments by name; raises ActionError."""
    if name not in ACTIONS:
        raise ActionError(_unknown(name))
    parameters = ACTIONS[name]
    surplus = sorted(set(values) - {parameter.name for parameter in parameters})
    if surplus:
        raise ActionError(f"expected {describe(name)}, got argument {_shorten(repr(surplus[0]))}")
    arguments = []
    for parameter in parameters:
        if parameter.name in values:
            arguments.append(_convert(parameter, values[parameter.name], name))
        elif parameter.default is None:
            raise ActionError(f"expected {describe(name)}, got no {parameter.name}")
        else:
            arguments.append(parameter.default)
    return Call(name, tuple(arguments))


def describe(name: str) -> str:
    """Return an action's signature: `press(bid, key_comb)`."""
    return f"{name}({', '.join(parameter.name for parameter in ACTIONS[name])})"


def _find_calls(text: str) -> dict[str, None]:
    """Return the different calls of known actions in a text, outermost only, two at most."""
    found: dict[str, None] = {}
    position = 0
    for _ in range(MAX_ATTEMPTS):
        match = _KNOWN.search(text, position)
        if match is None or len(found) > 1:
            break
        end = _closing(text, match.end())
        position = match.end() if end is None else end
        if end is not None:
            found[text[match.start() : end]] = None
    return found


def _closing(text: str, start: int) -> int | None:
    """Return the index after the parenthesis that closes the one before `start`."""
    depth, quote, index = 1, "", start
    while index < len(text):
        character = text[index]
        if quote:
            if character == "\\":
                index += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return index + 1
        index += 1
    return None


def _parse_call(source: str) -> ast.Call:
    # An unknown escape stands for itself, as Python (still) has it, but without its warning.
    kept = _ESCAPE.sub(
        lambda match: match[0] if match[1] in _LEGAL_ESCAPES else "\\" + match[0], source
    )
    try:
        node = ast.parse(kept, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ActionError(
            f"expected a call with literal arguments, got {_shorten(source)}"
        ) from None
    if not isinstance(node, ast.Call):
        raise ActionError(f"expected one call, got {_shorten(source)}")
    return node


def _check(source: str, node: ast.Call) -> Call:
    name = node.func.id if isinstance(node.func, ast.Name) else source.split("(")[0]
    parameters = ACTIONS[name]
    values: dict[str, Any] = {}
    if len(node.args) > len(parameters):
        raise ActionError(f"expected {describe(name)}, got {len(node.args)} arguments")
    for parameter, argument in zip(parameters, node.args, strict=False):
        values[parameter.name] = _literal(argument, source)
    names = [parameter.name for parameter in parameters]
    for keyword in node.keywords:
        if keyword.arg not in names or keyword.arg in values:
            raise ActionError(f"expected {describe(name)}, got argument {keyword.arg!r}")
        values[keyword.arg] = _literal(keyword.value, source)
    return bind(name, values)


def _literal(node: ast.expr, source: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ActionError(f"expected literal arguments, got {_shorten(source)}") from None


def _convert(parameter: Parameter, value: Any, action: str) -> Any:
    """Return the checked value; raises ActionError saying expected and got."""
    converted = _CHECKS[parameter.kind](value)
    if converted is None:
        raise ActionError(
            f"{action}: expected {parameter.name} to be {_EXPECTED[parameter.kind]}, "
            f"got {_shorten(repr(value))}"
        )
    return converted


# A check returns the value as it is used, or None where it is not what it must be.


def _id(value: Any) -> int | None:
    digits = str(value).strip().strip("[]") if type(value) in (str, int) else ""
    return int(digits) if re.fullmatch("[0-9]{1,9}", digits) else None


def _number(value: Any) -> float | None:
    fits = type(value) in (int, float) and abs(value) <= 1e6  # not so for nan
    return float(value) if fits else None


def _strings(value: Any) -> tuple[str, ...] | None:
    listed = [value] if isinstance(value, str) else value
    fits = isinstance(listed, (list, tuple)) and all(isinstance(one, str) for one in listed)
    return tuple(listed) if fits else None


def _modifiers(value: Any) -> tuple[str, ...] | None:
    keys = None if isinstance(value, str) else _strings(value)
    return keys if keys is not None and set(keys) <= set(_MODIFIER_KEYS) else None


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "id": _id,
    "switch": lambda value: value if type(value) is bool else None,
    "text": lambda value: value if isinstance(value, str) else None,
    "key": lambda value: value if isinstance(value, str) and len(value) <= MAX_KEY else None,
    "number": _number,
    "index": lambda value: value if type(value) is int and 0 <= value < 1000 else None,
    "options": _strings,
    "button": lambda value: value if value in ("left", "middle", "right") else None,
    "modifiers": _modifiers,
}

_EXPECTED = {
    "id": "an element's id such as '12'",
    "switch": "True or False",
    "text": "a string",
    "key": "a key such as 'Enter' or 'Control+c'",
    "number": "a number of at most 1,000,000",
    "index": "a tab's number",
    "options": "an option's text or a list of them",
    "button": "'left', 'middle' or 'right'",
    "modifiers": "a list of 'Alt', 'Control', 'Meta', 'Shift'",
}


def _explain(text: str) -> str:
    match = _ANY.search(text)
    if match is None or match[1] in ACTIONS:
        return f"expected one action such as click('12'), got {_shorten(repr(text[:200]))}"
    return _unknown(match[1])


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, ACTIONS, n=1, cutoff=0.4)
    hint = f"did you mean {describe(close[0])}?" if close else f"known: {', '.join(ACTIONS)}"
    return f"unknown action {_shorten(repr(name))}; {hint}"


def _shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
