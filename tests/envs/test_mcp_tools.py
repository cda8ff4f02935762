"""Guards the tools of strangers' servers: any schema is read, what is plainly wrong is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgym_si.envs.calls import Call
from agentgym_si.envs.mcp_tools import check_call, readable, sample_calls
from agentgym_si.errors import ActionError

KEYWORDS = [
    "type",
    "enum",
    "anyOf",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "minimum",
    "maxLength",
    "minItems",
    "$ref",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9)
    | st.sampled_from(("a", "string", "integer", "object", "array", "boolean", "null")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from((*KEYWORDS, "a", "b")), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=5)


@settings(max_examples=300)
@given(OBJECTS, st.dictionaries(st.sampled_from(("a", "b")), VALUES, max_size=2))
def test_no_schema_breaks_the_check(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    """A server's malformed schema that ends the run with an exception."""
    tools = [{"name": "go", "description": "", "parameters": schema}]
    with contextlib.suppress(ActionError):
        check_call(Call("go", arguments), tools)
    for call in sample_calls(tools, [Call("go", arguments)]):
        check_call(call, tools)


def test_a_plain_schema_is_kept_whole() -> None:
    """Checks that are lost because everything a stranger says is left out."""
    schema = {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": 3},
            "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
            "tags": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 2},
        },
        "required": ["count"],
        "additionalProperties": False,
    }
    assert readable(schema) == schema
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(100):
        deep = {"type": "object", "properties": {"a": deep}}
    assert str(readable(deep)).count("properties") < 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call("count", {}), "expected argument 'n' of type integer, got none"),
        (Call("count", {"n": "1"}), "expected argument 'n' of type integer, got"),
        (Call("count", {"n": 9}), "at most 3, got 9"),
        (Call("cuont", {"n": 1}), "did you mean count"),
    ],
)
def test_a_wrong_call_is_not_sent(call: Call, message: str) -> None:
    """A mistake that costs a call of the server."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 3}},
        "required": ["n"],
    }
    tools = [{"name": "count", "description": "", "parameters": schema}]
    check_call(Call("count", {"n": 1, "more": "is allowed"}), tools)
    with pytest.raises(ActionError, match=message):
        check_call(call, tools)
    known = [Call("count", {"n": 2}), Call("count", {"n": 7})]
    assert sample_calls(tools, known) == [Call("count", {"n": n}) for n in (2, 0, 1)]
