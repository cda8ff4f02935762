"""The one parser of tool calls: from an action's text to the calls in it, for every environment.

Forms: a JSON object `{"name": …, "arguments": {…}}`, a list of them, one or several
`<tool_call>…</tool_call>` with text around them, and a message in OpenAI's form. All other text is
an answer to the user; what looks like a call and is none is an `ActionError`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agentgym_si.errors import ActionError

OPENING, CLOSING = "<tool_call>", "</tool_call>"

MAX_DEPTH = 64
"""Arrays and objects inside each other, at most; deeper ones could not be walked safely."""

MOST_CALLS = 16
"""Calls that one action may hold."""

_CALL_KEYS = {"name", "arguments", "id", "type", "index", "call_id", "status"}
"""What an object of a call may hold: the two that count, and what OpenAI's forms add."""
_HALF = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s*")
_OPENS_OBJECT = re.compile(r"\s*(?:\[\s*)?\{")
_HAS_CALL_KEY = re.compile(r"""["'](?:name|function|tool_calls)["']\s*:""")


@dataclass(frozen=True)
class Call:
    """A tool's name and what it is called with; nothing of it is checked against a schema yet."""

    name: str
    arguments: dict[str, Any]


def parse_calls(text: str) -> tuple[Call, ...]:
    """Return the calls in an action's text, () where it is an answer to the user.

    Raises ActionError, with expected, got and the character, for what looks like a call (an
    opening tag, JSON with `name`, `function` or `tool_calls`) but cannot be read as one.
    """
    start = _skip_space(text, 0)
    if text.startswith(("{", "["), start):
        try:
            value, end = _decode(text, start)
            if end < len(text):
                raise ActionError(
                    "expected the end of the text after the JSON (several calls go into one "
                    f"list), got {_excerpt(text, end)}"
                )
        except ActionError:
            if OPENING not in text:
                if _OPENS_OBJECT.match(text) and _HAS_CALL_KEY.search(text):
                    raise
                return ()
        else:
            return tuple(_calls_of(value, f"at character {start}")) if _is_call(value) else ()
    return tuple(_tagged_calls(text))


def format_call(call: Call) -> str:
    """Return a call as bare JSON, the form that `parse_calls` reads back to the same call."""
    content = {"name": call.name, "arguments": call.arguments}
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def format_calls(calls: Iterable[Call]) -> str:
    """Return one call as bare JSON, any other number of them as a JSON list."""
    texts = [format_call(call) for call in calls]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _tagged_calls(text: str) -> Iterator[Call]:
    opening = text.find(OPENING)
    while opening >= 0:
        start = _skip_space(text, opening + len(OPENING))
        value, end = _decode(text, start)
        if not text.startswith(CLOSING, end):
            raise ActionError(f"expected {CLOSING} after the JSON, got {_excerpt(text, end)}")
        yield from _calls_of(value, f"at character {start}")
        opening = text.find(OPENING, end)


def _is_call(value: Any) -> bool:
    """Say whether JSON is meant as calls, well-formed or not."""
    if isinstance(value, list):
        return any(isinstance(entry, dict) and _is_call(entry) for entry in value)
    return isinstance(value, dict) and not value.keys().isdisjoint(
        ("name", "function", "tool_calls")
    )


def _calls_of(value: Any, where: str) -> Iterator[Call]:
    """Yield the calls of a list, of a message or of one call object."""
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield _call_of(entry, f"in entry {number} of the list {where}")
    elif isinstance(value, dict) and "tool_calls" in value:
        entries = value["tool_calls"]
        if not isinstance(entries, list | None):
            raise ActionError(f"expected 'tool_calls' to be a list, got {_show(entries)} {where}")
        for number, entry in enumerate(entries or ()):
            yield _call_of(entry, f"in tool call {number} of the message {where}")
    else:
        yield _call_of(value, where)


def _call_of(value: Any, where: str) -> Call:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict):
        form = '{"name": …, "arguments": {…}}'
        raise ActionError(f"expected a call {form}, got {_show(value)} {where}")
    for key in ("name", "arguments"):
        if key not in value:
            got = ", ".join(map(repr, value)) or "an empty object"
            raise ActionError(f"expected a call with the key {key!r}, got {got} {where}")
    if unknown := sorted(value.keys() - _CALL_KEYS):
        raise ActionError(
            f"expected only 'name' and 'arguments' in a call, got {unknown[0]!r} {where}"
        )
    name, arguments = value["name"], value["arguments"]
    if not isinstance(name, str) or not name:
        raise ActionError(f"expected 'name' to be the name of a tool, got {_show(name)} {where}")
    if isinstance(arguments, str):  # as OpenAI's messages have it
        arguments = _arguments_in_string(arguments, where)
    if not isinstance(arguments, dict):
        got = _show(arguments)
        raise ActionError(f"expected 'arguments' of {name} to be an object, got {got} {where}")
    return Call(name, arguments)


def _arguments_in_string(text: str, where: str) -> Any:
    if not text.strip():
        return {}
    try:
        value, end = _decode(text, _skip_space(text, 0))
        if end < len(text):
            raise ActionError(f"expected the end of the JSON, got {_excerpt(text, end)}")
    except ActionError as error:
        raise ActionError(f"{error} of the string 'arguments' {where}") from None
    return value


# Strict JSON ------------------------------------------------------------------------------


def _decode(text: str, start: int) -> tuple[Any, int]:
    """Return the JSON value that starts at a character, and where the text after it starts."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        check_values(value)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise ActionError(f"expected JSON, got {_excerpt(text, error.pos)} ({reason})") from None
    except RecursionError:
        raise ActionError(
            f"expected values nested at most {MAX_DEPTH} deep, got more at character {start}"
        ) from None
    except ActionError as error:
        raise ActionError(f"{error} in the JSON at character {start}") from None
    return value, _skip_space(text, end)


def _skip_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ActionError(f"expected each key once, got {_show(double)} twice")
    return found


def _integer(digits: str) -> int:
    return int(digits[:30])  # what is cut is out of range by then: `check_values` refuses it


def _constant(name: str) -> Any:
    raise ActionError(f"expected finite numbers, got {name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_constant=_constant)


def check_values(value: Any) -> None:
    """Refuse what JSON or a database cannot hold, or nothing can walk.

    Raises ActionError for numbers that are infinite or over 64 bits, for half characters and for
    arrays and objects more than MAX_DEPTH deep.
    """
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                inner += [*entry, *entry.values()]
            elif isinstance(entry, list | tuple):
                inner += entry
            elif isinstance(entry, str) and _HALF.search(entry):
                raise ActionError(f"expected whole characters, got half of one in {_show(entry)}")
            elif isinstance(entry, int) and not -(2**63) <= entry < 2**63:
                raise ActionError("expected integers of at most 64 bits, got a greater one")
            elif isinstance(entry, float) and not math.isfinite(entry):
                raise ActionError(f"expected finite numbers, got {entry}")
        level, depth = inner, depth + 1
        if depth > MAX_DEPTH + 1:
            raise ActionError(f"expected values nested at most {MAX_DEPTH} deep, got more")


def _excerpt(text: str, position: int) -> str:
    got = repr(text[position : position + 20]) if position < len(text) else "the end of the text"
    return f"{got} at character {position}"


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def carry_out_calls(
    action: str, carry_out: Callable[[Call], str], describe_error: Callable[[str], str]
) -> str | None:
    """Carry the calls of an action out in their order; return what they gave, a line each.

    None where the action holds no call: it is an answer to the user. Of several calls, one that
    fails is described and the others go on; raises ActionError of a single one, of a text that
    cannot be read, and of more than `MOST_CALLS`.
    """
    calls = parse_calls(action)
    if len(calls) > MOST_CALLS:
        raise ActionError(f"expected at most {MOST_CALLS} calls, got {len(calls)}")
    if not calls:
        return None
    if len(calls) == 1:
        return carry_out(calls[0])

    def attempt(call: Call) -> str:
        try:
            return carry_out(call)
        except ActionError as error:
            return describe_error(str(error))

    return "\n".join(map(attempt, calls))
