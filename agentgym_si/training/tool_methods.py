"""Methods made of JSON schemas, for trainers that read a schema off a Python signature."""

from __future__ import annotations

import inspect
import json
import keyword
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol


class Player(Protocol):
    """What the methods are put on."""

    def _step(self, action: str) -> str: ...


_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def call_method(tool: Mapping[str, Any]) -> Callable[..., str]:
    """Return a method that makes the call; its signature and docstring are the tool's schema."""
    schema = tool.get("parameters") or {}
    properties: Mapping[str, Any] = schema.get("properties") or {}
    required = set(schema.get("required") or ())
    plain = all(name.isidentifier() and not keyword.iskeyword(name) for name in properties)
    if not plain:  # Python has no such parameter: all arguments in one
        properties, required = {"arguments": {"type": "object"}}, {"arguments"}

    def call(self: Player, **arguments: Any) -> str:
        given = arguments if plain else dict(arguments["arguments"])
        given = {name: value for name, value in given.items() if value is not None}
        return self._step(json.dumps({"name": tool["name"], "arguments": given}))

    described = {
        name: " ".join(str(entry.get("description") or name).split())
        for name, entry in properties.items()
    }
    hints = {
        name: _hint(entry) if name in required else _hint(entry) | None
        for name, entry in properties.items()
    }
    ordered = sorted(properties, key=lambda name: name not in required)
    text = " ".join(str(tool.get("description") or tool["name"]).split())
    return _described(call, tool["name"], text, {n: (hints[n], described[n]) for n in ordered})


def text_method(name: str, text: str, parameter: str) -> Callable[..., str]:
    """Return a method that does what its one parameter says."""

    def act(self: Player, text: str) -> str:
        return self._step(text)

    return _described(act, name, text, {"text": (str, parameter)})


def _described(
    function: Callable[..., str], name: str, text: str, parameters: Mapping[str, tuple[Any, str]]
) -> Callable[..., str]:
    """Give a function the name, signature and Google docstring that TRL reads a schema from."""
    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    own = [inspect.Parameter("self", kind)]
    for parameter, (hint, _) in parameters.items():
        optional = hint is not Any and type(None) in getattr(hint, "__args__", ())
        default = None if optional else empty
        own.append(inspect.Parameter(parameter, kind, default=default, annotation=hint))
    lines = [text, *(["", "Args:"] if parameters else [])]
    lines += [f"    {parameter}: {told}" for parameter, (_, told) in parameters.items()]
    described: Any = function
    described.__name__ = described.__qualname__ = name
    described.__doc__ = "\n".join(lines)
    described.__signature__ = inspect.Signature(own, return_annotation=str)
    hints = {parameter: hint for parameter, (hint, _) in parameters.items()}
    described.__annotations__ = {**hints, "return": str}
    return function


def _hint(entry: Mapping[str, Any]) -> Any:
    """Return the type hint of a JSON schema's property."""
    choices = entry.get("enum")
    if choices and all(isinstance(choice, str | int | bool) for choice in choices):
        return Literal[tuple(choices)]
    kind = entry.get("type")
    if kind == "array" and isinstance(entry.get("items"), Mapping):
        return list[_hint(entry["items"])]  # type: ignore[misc]
    return _TYPES.get(kind, str) if isinstance(kind, str) else str
