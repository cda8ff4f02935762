"""Typed values as text: all that an answer's box and its tests' box can say to each other.

Exact values of the builtin types travel by content; an instance of a subclass travels as what its
base class holds, read by the base's own methods, so that no override of it runs or arrives; any
other object travels as a reference that its owner numbers. What is read is untrusted: wrong shape,
depth or size raises `BadValue`. Standard library only: the source is shipped into the boxes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_BYTES = 8 << 20
"""Bytes of one message."""
MAX_DEPTH = 60
"""Containers inside each other; well below what the JSON reader itself takes."""
MAX_NODES = 1 << 18
"""Values in one message, those inside containers included."""
PLAIN_INTEGER = 1 << 53
"""Integers from here on are written in hexadecimal, which is not quadratic to read."""

Refer = Callable[[object], "int | str"]
"""Returns the number (an object) or name (a global) by which an object is known to its owner."""
Resolve = Callable[["int | str"], object]
"""Returns what a number or name of `Refer` stands for here."""


class BadValue(ValueError):
    """A value that cannot be sent, or text that is none."""


def dump(value: object, refer: Refer) -> bytes:
    """Write a value; raises BadValue where it is too deep or too large."""
    try:
        text = json.dumps(_Writer(refer).write(value, MAX_DEPTH), separators=(",", ":"))
    except (RecursionError, RuntimeError) as error:  # RuntimeError: it changed while it was read
        raise BadValue(f"the value cannot be written: {error}") from error
    if len(text) > MAX_BYTES:
        raise BadValue(f"expected a value of at most {MAX_BYTES} bytes, got {len(text)}")
    return text.encode()


def load(data: bytes, resolve: Resolve) -> Any:
    """Read a value; raises BadValue for anything that `dump` does not write."""
    if len(data) > MAX_BYTES:
        raise BadValue(f"expected a value of at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        return _Reader(resolve).read(json.loads(data), MAX_DEPTH)
    except BadValue:
        raise
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise BadValue(f"expected a written value, got {data[:60]!r}: {error}") from error


def no_references(value: object) -> Any:
    """Refuse to write or read references."""
    raise BadValue(f"expected a plain value, got {type(value).__name__}")


class _Writer:
    def __init__(self, refer: Refer) -> None:
        self._refer = refer
        self._left = MAX_NODES

    def write(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._left -= 1
        if depth < 0 or self._left < 0:
            raise BadValue(f"expected at most {MAX_DEPTH} levels and {MAX_NODES} values")
        if value is None or kind is bool or kind is str or kind is float:
            return value
        base = next((base for base in _WRITERS if issubclass(kind, base)), None)
        if base is None:
            return ["@", self._refer(value)]
        return _WRITERS[base](self, value, depth - 1)

    def many(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.write(value, depth) for value in values]


def _write_integer(writer: _Writer, value: int, depth: int) -> Any:
    number = int.__index__(value)
    plain = -PLAIN_INTEGER < number < PLAIN_INTEGER
    return number if plain else ["i", int.__format__(number, "x")]


def _write_complex(writer: _Writer, value: complex, depth: int) -> Any:
    number = complex.__complex__(value)
    return ["c", number.real, number.imag]


def _write_dict(writer: _Writer, value: dict[Any, Any], depth: int) -> Any:
    return ["d", writer.many(dict.keys(value), depth), writer.many(dict.values(value), depth)]


_WRITERS: dict[type, Callable[[_Writer, Any, int], Any]] = {
    int: _write_integer,
    float: lambda writer, value, depth: float.__float__(value),
    complex: _write_complex,
    str: lambda writer, value, depth: str.__str__(value),
    bytes: lambda writer, value, depth: ["b", bytes.hex(value)],
    bytearray: lambda writer, value, depth: ["a", bytearray.hex(value)],
    list: lambda writer, value, depth: ["l", *writer.many(list.__iter__(value), depth)],
    tuple: lambda writer, value, depth: ["t", *writer.many(tuple.__iter__(value), depth)],
    set: lambda writer, value, depth: ["s", *writer.many(set.__iter__(value), depth)],
    frozenset: lambda writer, value, depth: ["f", *writer.many(frozenset.__iter__(value), depth)],
    dict: _write_dict,
    range: lambda writer, value, depth: [
        "r",
        *writer.many((value.start, value.stop, value.step), depth),
    ],
    Fraction: lambda writer, value, depth: [
        "q",
        *writer.many((value.numerator, value.denominator), depth),
    ],
    Decimal: lambda writer, value, depth: ["n", Decimal.__str__(value)],
}
"""How an instance of each type, or of its subclasses, is written."""


class _Reader:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._left = MAX_NODES

    def read(self, item: Any, depth: int) -> Any:
        kind = type(item)
        self._left -= 1
        if depth < 0 or self._left < 0:
            raise BadValue(f"expected at most {MAX_DEPTH} levels and {MAX_NODES} values")
        if item is None or kind in (bool, int, float, str):
            return item
        if kind is not list or not item or type(item[0]) is not str:
            raise BadValue(f"expected a written value, got {kind.__name__}")
        tag, parts = item[0], item[1:]
        if tag == "@":
            return self._reference(*parts)
        if tag in ("i", "b", "a", "n", "c"):
            return _READERS[tag](*parts)
        if tag == "d":
            keys, values = parts
            pairs = zip(self.many(keys, depth - 1), self.many(values, depth - 1), strict=True)
            return dict(pairs)
        return _READERS[tag](self.many(parts, depth - 1))

    def many(self, items: Any, depth: int) -> list[Any]:
        if type(items) is not list:
            raise BadValue(f"expected values, got {type(items).__name__}")
        return [self.read(item, depth) for item in items]

    def _reference(self, key: Any) -> object:
        if type(key) not in (int, str):
            raise BadValue(f"expected a reference's number or name, got {type(key).__name__}")
        return self._resolve(key)


_READERS: dict[str, Callable[..., Any]] = {
    "i": lambda text: int(text, 16),
    "c": lambda real, imaginary: complex(real, imaginary),
    "b": bytes.fromhex,
    "a": bytearray.fromhex,
    "n": lambda text: Decimal(text),
    "l": list,
    "t": tuple,
    "s": set,
    "f": frozenset,
    "r": lambda parts: range(*parts),
    "q": lambda parts: Fraction(*parts),
}
