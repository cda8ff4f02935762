"""Guards tool schemas: what a function's signature says, and what of a call is refused, and how."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.schemas import check_arguments, schema_of
from agentgym_si.errors import ActionError, BadInput


class Line(TypedDict):
    product: str
    count: int
    note: NotRequired[str]


def get_order(order_id: str, fields: list[str] | None = None) -> str:
    """Return an order.

    As text.

    Args:
        order_id: the order's id,
            such as `#W1`.
        fields (list): those wanted: a, b.

    Returns:
        order: not a parameter.
    """
    return f"{order_id} {fields}"


def buy(
    lines: list[Line],
    method: Literal["card", "cash"],
    tip: float = 0.5,
    *,
    gift: bool = False,
    stars: Annotated[int, {"minimum": 1, "maximum": 5}] = 3,
    prices: dict[str, float] | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Buy."""


def test_a_schema_says_what_the_function_says() -> None:
    """A description, default or type that the policy is not told, or told wrongly."""
    assert schema_of(get_order) == {
        "name": "get_order",
        "description": "Return an order. As text.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "description": "the order's id, such as `#W1`."},
                "fields": {
                    "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                    "description": "those wanted: a, b.",
                },
            },
            "required": ["order_id"],
            "additionalProperties": False,
        },
    }


def test_every_type_becomes_json_schema() -> None:
    """A type that is passed on as `any`."""
    parameters = schema_of(buy)["parameters"]
    properties = parameters["properties"]
    assert parameters["required"] == ["lines", "method"]
    assert properties["lines"]["items"]["properties"]["count"] == {"type": "integer"}
    assert properties["lines"]["items"]["required"] == ["product", "count"]
    assert properties["method"] == {"type": "string", "enum": ["card", "cash"]}
    assert properties["tip"] == {"type": "number", "default": 0.5}
    assert properties["gift"] == {"type": "boolean", "default": False}
    assert properties["stars"] == {"type": "integer", "minimum": 1, "maximum": 5, "default": 3}
    prices = {"type": "object", "additionalProperties": {"type": "number"}}
    assert properties["prices"]["anyOf"] == [prices, {"type": "null"}]
    assert properties["extra"]["anyOf"][0] == {"type": "object"}
    assert json.loads(json.dumps(parameters)) == parameters


def no_type(x) -> None:  # type: ignore[no-untyped-def]
    """Take something."""


def many(*numbers: int) -> None:
    """Take numbers."""


def by_bytes(x: bytes) -> None:
    """Take bytes."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_type, "expected a type for parameter 'x' of no_type, got none"),
        (many, "expected parameter 'numbers' of many to be passed by name, got variadic"),
        (by_bytes, "expected a type that JSON has for parameter 'x' of by_bytes, got <class 'by"),
    ],
)
def test_a_function_that_has_no_schema_is_refused(function: Any, message: str) -> None:
    """A tool that no call can be checked for."""
    with pytest.raises(BadInput) as caught:
        schema_of(function)
    assert message in str(caught.value)


def test_arguments_that_fit_come_back_as_a_copy() -> None:
    """A tool that changes the action as it is recorded; an integer refused as a number."""
    line = {"product": "tea", "count": 2}
    given_arguments = {"lines": [line], "method": "cash", "tip": 1, "prices": {"tea": 2}}
    checked = check_arguments(given_arguments, schema_of(buy)["parameters"], "buy")
    assert checked == given_arguments
    checked["lines"][0]["count"] = 3
    assert line["count"] == 2


ORDER, BUY = schema_of(get_order), schema_of(buy)
LINE = {"product": "tea", "count": 2}


@pytest.mark.parametrize(
    ("schema", "arguments", "message"),
    [
        (ORDER, {"order_id": 3}, "expected argument 'order_id' of type string, got 3 (integer)"),
        (ORDER, {}, "expected argument 'order_id' of type string, got none"),
        (
            ORDER,
            {"orderid": "x"},
            "unknown argument 'orderid' in get_order; did you mean order_id?",
        ),
        (ORDER, {"order_id": None}, "of type string, got null (null)"),
        (ORDER, {"order_id": "x", "fields": 3}, "'fields' of type array or null, got 3 (integer)"),
        (
            ORDER,
            {"order_id": "x", "fields": ["a", 1]},
            "argument 'fields[1]' of type string, got 1",
        ),
        (
            BUY,
            {"lines": [LINE, {"product": "x"}], "method": "cash"},
            "argument 'lines[1].count' of type integer, got none",
        ),
        (
            BUY,
            {"lines": [{**LINE, "cuont": 1}], "method": "cash"},
            "unknown argument 'cuont' in buy, lines[0]",
        ),
        (BUY, {"lines": [], "method": "gold"}, 'to be one of "card", "cash", got "gold" (string)'),
        (BUY, {"lines": [], "method": "cash", "stars": 6}, "'stars' at most 5, got 6 (integer)"),
        (BUY, {"lines": [], "method": "cash", "stars": 0}, "'stars' at least 1, got 0 (integer)"),
        (
            BUY,
            {"lines": [], "method": "cash", "stars": True},
            "of type integer, got true (boolean)",
        ),
        (BUY, {"lines": [], "method": "cash", "stars": 2.0}, "of type integer, got 2.0 (number)"),
        (BUY, {"lines": [], "method": "cash", "tip": False}, "of type number, got false (boolean)"),
        (BUY, {"lines": [], "method": "cash", "gift": 1}, "of type boolean, got 1 (integer)"),
        (BUY, {"lines": [], "method": "cash", "prices": {"a": "b"}}, "'prices.a' of type number"),
    ],
)
def test_a_wrong_argument_is_said(
    schema: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    """A wrong call that is carried out, or refused without saying how to mend it."""
    with pytest.raises(ActionError) as caught:
        check_arguments(arguments, schema["parameters"], schema["name"])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"enum": [1, "a"]}, True, False),
        ({"enum": [True]}, True, True),
        ({"type": ["string", "null"]}, None, True),
        ({"minLength": 2, "maxLength": 3}, "a", False),
        ({"minLength": 2, "maxLength": 3}, "abcd", False),
        ({"minItems": 1}, [], False),
        ({"maxItems": 1}, [1, 2], False),
        ({"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string"}]}, 2, False),
        ({}, {"any": ["thing"]}, True),
        ({"minimum": 3}, "no number", True),
    ],
)
def test_keywords(schema: dict[str, Any], value: Any, fits: bool) -> None:
    """A keyword of the subset that is not looked at, or taken for what it is not."""
    try:
        check_arguments({"x": value}, {"type": "object", "properties": {"x": schema}}, "f")
    except ActionError as error:
        assert "argument 'x'" in str(error)
        assert not fits
    else:
        assert fits


NAMES = st.sampled_from(["lines", "method", "tip", "stars", "product"]) | st.text(max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_no_arguments_make_it_raise_anything_else(arguments: dict[str, Any]) -> None:
    """A TypeError out of a comparison that the type should have settled."""
    try:
        check_arguments(arguments, BUY["parameters"], "buy")
    except ActionError as error:
        assert "buy" in str(error)
        assert len(str(error)) < 400
