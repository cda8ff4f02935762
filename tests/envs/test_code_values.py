"""Guards what the answer's box and the tests' box may say to each other."""

from __future__ import annotations

import collections
import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgym_si.envs.coding import values
from agentgym_si.envs.coding.values import BadValue

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**5000), max_value=10**5000)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters())
    | st.binary()
    | st.binary().map(bytearray)
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
)
HASHABLE = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
    ),
    max_leaves=20,
)


def passed(value: object) -> Any:
    return values.load(values.dump(value, values.no_references), values.no_references)


def alike(one: Any, other: Any) -> bool:
    """Compare types too, and floats by what is written of them: nan, -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    return repr(one) == repr(other) if isinstance(one, (float, complex)) else bool(one == other)


@settings(max_examples=60)
@given(VALUES)
def test_values_come_out_as_they_went_in(value: object) -> None:
    """True that becomes 1, a tuple that becomes a list, a large integer or -0.0 that is lost."""
    assert alike(passed(value), value)


class Point(NamedTuple):
    x: int
    y: int


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__

    def __int__(self) -> int:
        return 42

    __index__ = __int__
    __str__ = __repr__ = lambda self: "42"


class LyingList(list[int]):
    def __iter__(self) -> Any:
        return iter([42])

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


class LyingText(str):
    def __str__(self) -> str:
        return "42"


class LyingFloat(float):
    def __float__(self) -> float:
        return 42.0


class LyingDict(dict[str, int]):
    def items(self) -> Any:
        return [("a", 42)]

    keys = values = items


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Liar(7), 7),
        (LyingList([1, 2]), [1, 2]),
        (LyingText("a"), "a"),
        (LyingFloat(0.5), 0.5),
        (LyingDict(b=1), {"b": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, {1: [2]}), {1: [2]}),
        (Point(1, 2), (1, 2)),
        (enum.IntEnum("Colour", "RED BLUE").BLUE, 2),  # type: ignore[attr-defined]
    ],
)
def test_an_instance_of_a_subclass_is_what_its_base_holds(value: object, sent: object) -> None:
    """An override that is asked for the value, or that arrives with it."""
    assert alike(passed(value), sent)


def test_other_objects_are_references() -> None:
    """An object that is read into the other box instead of staying where it is."""
    marker = object()
    text = values.dump([marker, iter(())], lambda value: 7 if value is marker else 8)
    assert values.load(text, lambda key: ("object", key)) == [("object", 7), ("object", 8)]
    with pytest.raises(BadValue):
        passed([marker])


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_cycles_and_giants_are_refused() -> None:
    """A value that is written until the box runs out of memory."""
    cycle: list[Any] = []
    cycle.append(cycle)
    for value in (cycle, deep(1000), "x" * (values.MAX_BYTES + 1), [0] * (values.MAX_NODES + 1)):
        with pytest.raises(BadValue):
            passed(value)
    assert passed(deep(values.MAX_DEPTH - 1)) == deep(values.MAX_DEPTH - 1)


HOSTILE = (
    b"",
    b"\xff",
    b"{}",
    b'{"a": 1}',
    b"[]",
    b"[1]",
    b'["x"]',
    b'["i"]',
    b'["i", 7]',
    b'["i", "zz"]',
    b'["d", [1], [1, 2]]',
    b'["d", [["l"]], [1]]',
    b'["s", ["l"]]',
    b'["r", 1, 2, 0]',
    b'["r", 1, 2, 3, 4]',
    b'["q", 1, 0]',
    b'["b", "0g"]',
    b'["n", "x"]',
    b'["c", 1]',
    b'["@"]',
    b'["@", 1.5]',
    b'["@", true]',
    b'["@", 1, 2]',
    b'["@", ["l"]]',
    b"9" * 5000,
    b"[" * 100_000,
    b'["l",' * 5000 + b'["l"]' + b"]" * 5000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_what_is_no_written_value_is_refused(text: bytes) -> None:
    """A forged reply that crashes the reader, or that it takes for a value."""
    with pytest.raises(BadValue):
        values.load(text, lambda key: key)


@given(st.binary() | st.text().map(str.encode))
def test_noise_is_a_value_or_is_refused(noise: bytes) -> None:
    """A reader that raises what its callers do not expect."""
    try:
        values.load(noise, values.no_references)
    except BadValue:
        return


def test_special_numbers() -> None:
    """Numbers that JSON does not have."""
    assert math.isnan(passed(math.nan))
    assert passed([math.inf, Fraction(1, 3), Decimal("1.10"), 2**53]) == [
        math.inf,
        Fraction(1, 3),
        Decimal("1.10"),
        2**53,
    ]
