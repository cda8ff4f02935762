"""Tool schemas: made from typed Python functions, and used to check a call's arguments."""

from __future__ import annotations

import copy
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Union

from agentgym_si.errors import ActionError, BadInput, UnknownName

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_CHECKS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}
_BOUNDS: dict[str, tuple[str, Callable[[Any], float], str]] = {
    "minimum": ("number", lambda value: value, "at least {}"),
    "maximum": ("number", lambda value: value, "at most {}"),
    "minLength": ("string", len, "of at least {} characters"),
    "maxLength": ("string", len, "of at most {} characters"),
    "minItems": ("array", len, "of at least {} items"),
    "maxItems": ("array", len, "of at most {} items"),
}
"""For each bound: the type it holds for, what of the value is bounded, how that is said."""


# From a function --------------------------------------------------------------------------


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the OpenAI-style schema `{"name", "description", "parameters"}` of a function.

    The description is the docstring up to its sections, each parameter's is its entry under
    `Args:` (Google form). Types: str, int, float, bool, Literal, list[T], dict, dict[str, T],
    X | None, TypedDict, and Annotated[T, {…}] to add keywords such as `minimum`. A parameter with
    a default is optional.

    Raises:
        BadInput: a parameter has no type, one that JSON has not, or cannot be passed by name.
    """
    name = function.__name__
    summary, described = _read_docstring(inspect.getdoc(function) or "")
    hints = typing.get_type_hints(function, include_extras=True)
    properties: dict[str, Any] = {}
    required = []
    for parameter in inspect.signature(function).parameters.values():
        place = f"parameter {parameter.name!r} of {name}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise BadInput(
                f"expected {place} to be passed by name, got {parameter.kind.description}"
            )
        if parameter.name not in hints:
            raise BadInput(f"expected a type for {place}, got none")
        entry = _schema_of_type(hints[parameter.name], place)
        if parameter.name in described:
            entry["description"] = described[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif parameter.default is not None:
            entry["default"] = parameter.default
        properties[parameter.name] = entry
    return {"name": name, "description": summary, "parameters": _object(properties, required)}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema_of_type(hint: Any, place: str) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _schema_of_type(arguments[0], place) | dict(arguments[1])
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Literal:
        kinds = {_PLAIN.get(type(value), "") for value in arguments}
        kind = {"type": kinds.pop()} if len(kinds) == 1 else {}
        return {**kind, "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of_type(argument, place) for argument in arguments]}
    if hint is list or origin is list:
        return {"type": "array"} | (
            {"items": _schema_of_type(arguments[0], place)} if arguments else {}
        )
    if typing.is_typeddict(hint):
        fields = typing.get_type_hints(hint, include_extras=True)
        properties = {name: _schema_of_type(field, place) for name, field in fields.items()}
        # not __required_keys__: it overlooks NotRequired where annotations are postponed
        marks = {name: typing.get_origin(field) for name, field in fields.items()}
        if hint.__total__:
            required = [name for name in fields if marks[name] is not typing.NotRequired]
        else:
            required = [name for name in fields if marks[name] is typing.Required]
        return _object(properties, required)
    if origin in (typing.Required, typing.NotRequired):
        return _schema_of_type(arguments[0], place)
    if hint is dict or (origin is dict and arguments[0] is str):
        of_any = not arguments or arguments[1] is Any
        values = {} if of_any else {"additionalProperties": _schema_of_type(arguments[1], place)}
        return {"type": "object", **values}
    raise BadInput(f"expected a type that JSON has for {place}, got {hint}")


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return a Google docstring's description and the entries under `Args:`."""
    head, _, rest = text.partition("\nArgs:\n")
    summary = re.split(r"\n(?:Returns|Raises|Yields|Examples?|Notes?):\n", head)[0]
    body = re.split(r"\n(?=\S)", rest)[0]
    described: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(body).strip("\n")):
        found = re.match(r"\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)", entry, re.DOTALL)
        if found:
            described[found[1]] = " ".join(found[2].split())
    return " ".join(summary.split()), described


# Checking a call --------------------------------------------------------------------------


def check_arguments(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return a copy of a call's arguments once they fit a tool's `parameters` schema.

    Checked are type, enum, anyOf, properties, required, additionalProperties, items and the bounds
    of numbers, texts and arrays; other keywords are not. A boolean is no integer, an integer is a
    number.

    Args:
        arguments: the call's, by name.
        schema: the JSON schema of an object.
        where: the tool's name, for the message.

    Raises:
        ActionError: the first thing that is wrong, as expected, got and where.
    """
    for complaint in _complaints(dict(arguments), schema, "", where):
        raise ActionError(complaint)
    return copy.deepcopy(dict(arguments))


def _complaints(value: Any, schema: Mapping[str, Any], path: str, where: str) -> Iterator[str]:
    expected = f"{where}: expected argument {path!r}" if path else f"{where}: expected arguments"
    kinds = schema.get("type")
    if kinds is not None and not _is_of(value, kinds):
        names = kinds if isinstance(kinds, str) else " or ".join(kinds)
        yield f"{expected} of type {names}, got {_show(value)}"
        return
    if "enum" in schema and not any(_equal(value, entry) for entry in schema["enum"]):
        allowed = ", ".join(json.dumps(entry, ensure_ascii=False) for entry in schema["enum"])
        yield f"{expected} to be one of {allowed}, got {_show(value)}"
    if "anyOf" in schema:
        yield from _none_fits(value, schema["anyOf"], path, where)
    for keyword, (kind, measure, wording) in _BOUNDS.items():
        if keyword in schema and _is_of(value, kind):
            excess = measure(value) - schema[keyword]
            if not (excess >= 0 if keyword.startswith("min") else excess <= 0):
                yield f"{expected} {wording.format(schema[keyword])}, got {_show(value)}"
    if isinstance(value, dict):
        yield from _object_complaints(value, schema, path, where)
    elif isinstance(value, list | tuple) and "items" in schema:
        for number, entry in enumerate(value):
            yield from _complaints(entry, schema["items"], f"{path}[{number}]", where)


def _object_complaints(
    value: dict[str, Any], schema: Mapping[str, Any], path: str, where: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    inner = f"{path}." if path else ""
    for name, entry in value.items():
        if name in properties:
            yield from _complaints(entry, properties[name], inner + name, where)
        elif isinstance(others, Mapping):
            yield from _complaints(entry, others, inner + name, where)
        elif others is False:
            place = f"{where}, {path}" if path else where
            yield str(UnknownName("argument", name[:60], properties, where=place))
    for name in schema.get("required", ()):
        if name not in value:
            kind = properties.get(name, {}).get("type")
            of_type = f" of type {kind}" if isinstance(kind, str) else ""
            yield f"{where}: expected argument {inner + name!r}{of_type}, got none"


def _none_fits(
    value: Any, schemas: list[Mapping[str, Any]], path: str, where: str
) -> Iterator[str]:
    """Complain where no alternative fits: by the only one of the right type, else by the types."""
    complaints = [next(_complaints(value, schema, path, where), None) for schema in schemas]
    if None in complaints:
        return
    typed = [
        complaint
        for complaint, schema in zip(complaints, schemas, strict=True)
        if _is_of(value, schema.get("type", list(_CHECKS)))
    ]
    if len(typed) == 1:
        yield str(typed[0])
    else:
        names = " or ".join(str(schema.get("type", "any")) for schema in schemas)
        yield f"{where}: expected argument {path!r} of type {names}, got {_show(value)}"


def _is_of(value: Any, kinds: str | list[str]) -> bool:
    if isinstance(kinds, str):
        kinds = [kinds]
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _CHECKS.get(kind, (object,))) for kind in kinds)


def _equal(value: Any, entry: Any) -> bool:
    return bool(value == entry) and isinstance(value, bool) == isinstance(entry, bool)


def _show(value: Any) -> str:
    """Return a value as JSON, shortened, with its type."""
    kind = next((kind for kind in _CHECKS if _is_of(value, kind)), type(value).__name__)
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    return f"{shown if len(shown) <= 60 else shown[:60] + '…'} ({kind})"
