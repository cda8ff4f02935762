"""BFCL's rules for a single turn: do these calls fit an acceptable answer?

After the Berkeley Function Calling Leaderboard (Patil et al., ICML 2025), version 4. A possible
answer gives each parameter a list of acceptable values; `""` in it says that the parameter may be
left out. Names, types and values are compared, calls in parallel in any order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentgym_si.envs.bfcl_literals import (
    JAVA_TYPES,
    JAVASCRIPT_TYPES,
    read_java,
    read_javascript,
)
from agentgym_si.envs.bfcl_syntax import read_calls
from agentgym_si.envs.calls import Call, parse_calls
from agentgym_si.errors import ActionError, BadInput

Function = Mapping[str, Any]
"""A function's documentation: name, description, parameters (type, properties, required)."""
Answer = Mapping[str, Mapping[str, Sequence[Any]]]
"""One call that is right: its name, and for each parameter the values that are."""

PYTHON_TYPES: dict[str, type] = {
    "string": str,
    "any": str,
    "integer": int,
    "float": float,
    "number": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "object": dict,
}
_TYPES = {"python": PYTHON_TYPES, "java": JAVA_TYPES, "javascript": JAVASCRIPT_TYPES}
_WITH_ELEMENTS = ("array", "tuple", "Array", "ArrayList")
_IGNORED = re.compile(r"[ ,./\-_*^]")


class Judgement(NamedTuple):
    """Whether an answer is right, and what is wrong with it where it is not."""

    valid: bool
    reason: str = ""


RIGHT = Judgement(True)


def language_of(category: str) -> str:
    """Return the language whose literals a category's answers are written in."""
    if "javascript" in category:
        return "javascript"
    return "java" if "java" in category else "python"


def wants_no_call(category: str) -> bool:
    """Say whether the right answer of a category is to call nothing."""
    return "irrelevance" in category


def wants_any_call(category: str) -> bool:
    """Say whether in a category any call at all is right."""
    return "relevance" in category and not wants_no_call(category)


def read_answer(text: str, category: str, functions: Sequence[Function]) -> tuple[Call, ...]:
    """Return the calls of an answer in any of our forms or in call syntax, () where it has none.

    Raises ActionError for a broken call. Arguments without a name get theirs from the function's
    documentation; the benchmark's own reader drops them.
    """
    calls = parse_calls(text)
    if calls:
        return calls
    names = {function["name"]: list(properties_of(function)) for function in functions}
    return tuple(call.bind(names) for call in read_calls(text, language_of(category)))


def judge_text(
    text: str, category: str, functions: Sequence[Function], answers: Sequence[Answer]
) -> Judgement:
    """Judge an answer's text; see `read_answer` and `judge`. A broken call is a wrong answer."""
    try:
        return judge(read_answer(text, category, functions), category, functions, answers)
    except ActionError as error:
        return Judgement(False, str(error))


def judge(
    calls: Sequence[Call],
    category: str,
    functions: Sequence[Function],
    answers: Sequence[Answer],
) -> Judgement:
    """Judge the calls of an answer to a task of a category.

    Args:
        calls: what was answered.
        category: BFCL's name of it, such as `live_parallel_multiple`.
        functions: documentation of the functions that the task offers.
        answers: the calls wanted; empty for the categories of (ir)relevance.
    """
    if wants_no_call(category) or wants_any_call(category):
        if bool(calls) == wants_any_call(category):
            return RIGHT
        return Judgement(False, f"expected {'no' if calls else 'a'} call, got {len(calls)}")
    if len(calls) != len(answers):
        return Judgement(False, f"expected {len(answers)} calls, got {len(calls)}")
    language = language_of(category)
    documented = {function["name"]: function for function in functions}
    left = list(calls)
    for answer in answers:
        name = next(iter(answer))
        if "parallel" not in category and "multiple" not in category:
            documented = {name: functions[0]}
        if name not in documented:
            return Judgement(False, f"expected a call of {name}, which is not documented")
        judgements = [_judge_call(call, documented[name], answer[name], language) for call in left]
        fitting = next((place for place, one in enumerate(judgements) if one.valid), None)
        if fitting is None:
            return judgements[0] if len(calls) == 1 else Judgement(False, f"no call fits {name}")
        left.pop(fitting)
    return RIGHT


def properties_of(function: Function) -> Mapping[str, Any]:
    """Return the documentation of a function's parameters, by name."""
    properties: Mapping[str, Any] = function["parameters"].get("properties", {})
    return properties


# One call ---------------------------------------------------------------------------------


def _judge_call(
    call: Call, function: Function, answer: Mapping[str, Sequence[Any]], language: str
) -> Judgement:
    if call.name != function["name"]:
        return Judgement(False, f"expected a call of {function['name']}, got {call.name}")
    documented = properties_of(function)
    for name in function["parameters"].get("required", ()):
        if name not in call.arguments:
            return Judgement(False, f"expected the required argument {name!r}, got none")
    for name, value in call.arguments.items():
        if name not in documented or name not in answer:
            return Judgement(False, f"expected no argument {name!r}")
        if not _value_fits(value, documented[name], answer[name], language):
            got = f"{value!r:.60} ({type(value).__name__})"
            wanted = f"type {documented[name]['type']} and one of {list(answer[name])!r:.200}"
            return Judgement(False, f"{name}: expected {wanted}, got {got}")
    for name, values in answer.items():
        if name not in call.arguments and "" not in values:
            return Judgement(False, f"expected the argument {name!r}, got none")
    return RIGHT


def _value_fits(
    value: Any, parameter: Mapping[str, Any], accepted: Sequence[Any], language: str
) -> bool:
    kind = parameter["type"]
    inner = parameter.get("items", {}).get("type") if kind in _WITH_ELEMENTS else None
    wanted = _type_of(kind, language)
    elements = None if inner is None else _type_of(inner, language)
    if language != "python" and not isinstance(value, str):
        return False
    value = _read_value(value, kind, inner, language)
    named = next((type(entry) for entry in accepted if entry != ""), None)
    if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
        return type(value) is named and value in accepted  # a variable's name, say
    if (
        elements
        and isinstance(value, list)
        and not any(_elements_fit(value, entry, elements) for entry in accepted)
    ):
        return False
    if named is not None and named is not wanted:
        return value in accepted
    return _found(value, accepted, elements)


def _read_value(value: Any, kind: str, inner: str | None, language: str) -> Any:
    """Return a value as it is compared: source text read, tuples as lists, integers as floats."""
    if language == "java":
        return read_java(value, kind, inner)
    if language == "javascript":
        return read_javascript(value, kind, inner)
    if kind == "tuple" and isinstance(value, tuple):
        return list(value)
    if PYTHON_TYPES[kind] is float and type(value) is int:
        return float(value)
    return value


def _found(value: Any, accepted: Sequence[Any], elements: type | None) -> bool:
    """Say whether a value of the right type is among those accepted."""
    if isinstance(value, dict):
        return any(_dict_fits(value, entry) for entry in accepted)
    if isinstance(value, list) and elements is dict:
        return any(_dicts_fit(value, entry) for entry in accepted)
    if isinstance(value, str):
        return _standard(value) in [_standard(entry) for entry in accepted]
    if isinstance(value, list):
        standard = [_standard(entry) for entry in value]
        lists = [entry for entry in accepted if isinstance(entry, list | str)]
        return standard in [[_standard(one) for one in entry] for entry in lists]
    return value in accepted


def _type_of(kind: str, language: str) -> type:
    types = _TYPES[language]
    if kind not in types:
        known = ", ".join(types)
        raise BadInput(
            f"function documentation: unknown type {kind!r} in {language}; known: {known}"
        )
    return types[kind]


def _elements_fit(values: Sequence[Any], accepted: Any, wanted: type) -> bool:
    """Compare types one level deep; anything fits an entry that is no list."""
    if not isinstance(accepted, list):
        return True
    named = next((type(entry) for entry in accepted if entry != ""), None)
    return all(type(value) in (wanted, named) for value in values)


def _dict_fits(value: Mapping[str, Any], accepted: Any) -> bool:
    if not isinstance(accepted, dict) or not isinstance(value, dict):
        return False
    for key, entry in value.items():
        if key not in accepted or _standard(entry) not in map(_standard, accepted[key]):
            return False
    return all(key in value or "" in entries for key, entries in accepted.items())


def _dicts_fit(values: Sequence[Any], accepted: Any) -> bool:
    return len(values) == len(accepted) and all(map(_dict_fits, values, accepted))


def _standard(value: Any) -> Any:
    """Return a text without what the rules overlook: case, spaces, some signs, kind of quotes."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value
