"""Strict JSON for frozen dataclasses, both ways.

`encode` refuses what JSON cannot hold (NaN, tuples inside free data, keys that are not strings);
`decode` refuses unknown and missing fields and wrong types, and says where:
`$.transitions[2].reward`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from agentgym_si.errors import BadRecord

Record = TypeVar("Record")


def dumps(record: Any) -> str:
    """Return a dataclass record as one line of strict JSON, in ASCII; raises BadRecord.

    ASCII because a page's text may hold lone surrogates, which no UTF-8 file takes, and line ends
    (U+2028) at which `str.splitlines` would cut the record in two.
    """
    try:
        return json.dumps(encode(record), allow_nan=False, separators=(",", ":"))
    except BadRecord:
        raise
    except (ValueError, RecursionError) as error:  # an integer of 4,300 digits; nested too deeply
        raise BadRecord(f"{type(record).__name__} does not fit into JSON: {error}") from error


def loads(cls: type[Record], text: str) -> Record:
    """Return the record of class `cls` that `text` holds; raises BadRecord."""
    try:
        return decode(cls, json.loads(text, parse_constant=_no_constant))
    except BadRecord:
        raise
    except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
        raise BadRecord(f"expected JSON for {cls.__name__}, got {text[:40]!r}…: {error}") from error


def encode(value: Any, where: str = "$") -> Any:
    """Return `value` (a dataclass, or JSON) as plain JSON data; raises BadRecord."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
        }
    if isinstance(value, tuple):  # a record's own sequences; free data holds lists
        if _numbers(value, int) or _numbers(value, float):
            return list(value)
        return [encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return _check_json(value, where)


def decode(cls: type[Record], data: Any, where: str = "$") -> Record:
    """Return the record of class `cls` that JSON `data` holds; raises BadRecord."""
    if not isinstance(data, dict):
        raise _wrong(cls.__name__, data, where)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            raise BadRecord(
                f"unknown field {name!r} at {where}; {cls.__name__} has {', '.join(fields)}"
            )
    hints = _hints(typing.cast(Any, cls))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _decode_value(hints[name], data[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadRecord(f"missing field {name!r} at {where} of {cls.__name__}")
    try:
        return cls(**values)
    except BadRecord:
        raise
    except ValueError as error:
        raise BadRecord(f"{error} at {where}") from error


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode_value(hint: Any, data: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in get_args(hint):
            return None
        (inner,) = (arg for arg in get_args(hint) if arg is not type(None))
        return _decode_value(inner, data, where)
    if origin is Literal:
        if data not in get_args(hint):
            raise BadRecord(
                f"expected one of {', '.join(map(str, get_args(hint)))}, got {data!r} at {where}"
            )
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong("array", data, where)
        inner = get_args(hint)[0]
        if _numbers(data, inner):
            return tuple(data)
        return tuple(_decode_value(inner, item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(data, dict):
            raise _wrong("object", data, where)
        return _check_json(data, where)
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast(type[Any], hint), data, where)
    return _decode_scalar(hint, data, where)


def _decode_scalar(hint: Any, data: Any, where: str) -> Any:
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        try:
            data = float(data)
        except OverflowError as error:
            raise BadRecord(
                f"expected a finite number, got {str(data)[:40]}… at {where}"
            ) from error
    if type(data) is not hint:
        raise _wrong(hint.__name__, data, where)
    return _check_json(data, where)


def _numbers(values: Sequence[Any], kind: Any) -> bool:
    """Tell whether all are of `kind`, int or finite float; saves a call and a path for each."""
    if kind is int:
        return all(type(value) is int for value in values)
    return kind is float and all(type(value) is float and math.isfinite(value) for value in values)


def _check_json(value: Any, where: str) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadRecord(f"expected a finite number, got {value} at {where}")
        return value
    if isinstance(value, list):
        return [_check_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BadRecord(f"expected a string as key, got {key!r} at {where}")
        return {key: _check_json(item, f"{where}.{key}") for key, item in value.items()}
    raise _wrong("JSON", value, where)


def _wrong(expected: str, data: Any, where: str) -> BadRecord:
    return BadRecord(
        f"expected {expected}, got {type(data).__name__} {str(data)[:40]!r} at {where}"
    )


def _no_constant(name: str) -> Any:
    raise BadRecord(f"expected a finite number, got {name}")
