"""Solutions out of BFCL's acceptable answers: the actions that an oracle plays.

A few labels of the benchmark cannot be met by any answer (a value of the wrong type, a function
before it is offered): such tasks have no solution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_si.envs.bfcl_literals import write_literal
from agentgym_si.envs.bfcl_scoring import (
    Answer,
    Function,
    judge,
    language_of,
    properties_of,
    wants_any_call,
    wants_no_call,
)
from agentgym_si.envs.bfcl_syntax import read_calls
from agentgym_si.envs.calls import Call, format_calls

DECLINE = "None of the functions can do that."
"""What the oracle says where no call is right, and at the end of a turn."""


def solve(
    category: str, functions: Sequence[Function], answers: Sequence[Answer]
) -> tuple[str, ...]:
    """Return the one action that solves a task of a single turn, () where none was found."""
    if wants_no_call(category):
        return (DECLINE,)
    if wants_any_call(category):
        return (format_calls([Call(functions[0]["name"], {})]),)
    documented = {function["name"]: function for function in functions}
    for keep_optional in (False, True):
        calls = [
            _call(next(iter(answer)), answer, documented, language_of(category), keep_optional)
            for answer in answers
        ]
        if judge(calls, category, functions, answers).valid:
            return (format_calls(calls),)
    return ()


def solve_turns(
    functions: Sequence[Function],
    held_out: Mapping[str, Sequence[Function]],
    answers: Sequence[Sequence[str]],
) -> tuple[str, ...]:
    """Return the actions of a dialogue: each turn's calls in one action, then a text that ends it.

    The reference's texts of calls are written as JSON, their arguments named. Where the reference
    calls a function before it is offered there is no solution.

    Args:
        functions: those offered from the start.
        held_out: those offered later, by the turn's number.
        answers: the reference's calls of each turn, in Python's syntax.
    """
    names: dict[str, list[str]] = {}
    actions = []
    for turn, texts in enumerate(answers):
        offered = held_out.get(str(turn), ()) if turn else functions
        names |= {function["name"]: list(properties_of(function)) for function in offered}
        written = [call for text in texts for call in read_calls(text)]
        if any(call.name not in names for call in written):
            return ()
        calls = [call.bind(names) for call in written]
        actions += [format_calls(calls)] if calls else []
        actions.append("Done." if calls else DECLINE)
    return tuple(actions)


def _call(
    name: str,
    answer: Answer,
    documented: Mapping[str, Function],
    language: str,
    keep_optional: bool,
) -> Call:
    function = documented.get(name, {"parameters": {}})
    properties = properties_of(function)
    arguments = {}
    for key, accepted in answer[name].items():
        required = key in function["parameters"].get("required", ())
        values = [value for value in accepted if value != ""]
        if "" in accepted and not required and not (keep_optional and values):
            continue
        value = _first(values[0] if values else "")
        if language != "python":
            entry = properties.get(key, {})
            inner = entry.get("items", {}).get("type")
            value = write_literal(value, entry.get("type", "any"), inner, language)
        arguments[key] = value
    return Call(name, arguments)


def _first(value: Any) -> Any:
    """Return the first acceptable value out of the lists inside an acceptable object."""
    if isinstance(value, dict):
        return {key: entries[0] for key, entries in value.items() if entries and "" not in entries}
    if isinstance(value, list):
        return [_first(entry) for entry in value]
    return value
