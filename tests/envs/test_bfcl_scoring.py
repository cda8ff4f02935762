"""Guards BFCL's rules for a turn, one by one; `test_function_calling` compares whole verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from agentgym_si.envs.bfcl_scoring import judge, judge_text, read_answer
from agentgym_si.envs.calls import Call
from agentgym_si.errors import BadInput


def documented(name: str = "f", **types: Any) -> dict[str, Any]:
    """Return a function's documentation: parameters by type, those with a `?` are optional."""
    properties: dict[str, Any] = {}
    for parameter, kind in types.items():
        outer, _, inner = kind.rstrip("?").partition(" of ")
        properties[parameter] = {"type": outer, **({"items": {"type": inner}} if inner else {})}
    required = [parameter for parameter, kind in types.items() if not kind.endswith("?")]
    return {
        "name": name,
        "parameters": {"type": "dict", "properties": properties, "required": required},
    }


@pytest.mark.parametrize(
    ("kind", "accepted", "value", "fits"),
    [
        ("integer", [5], 5, True),
        ("integer", [5], 5.0, False),
        ("integer", [1], True, False),
        ("boolean", [True], 1, False),
        ("float", [5.0], 5, True),
        ("float", [5], 5.5, False),
        ("float", [1.0], True, False),
        ("string", ["Berkeley, CA"], "berkeley ca", True),
        ("string", ["it's"], 'it"s', True),
        ("string", ["a"], "b", False),
        ("string", [5], 5, True),  # the label's type counts where it is another
        ("any", ["x"], "X", True),
        ("array of string", [["a", "b"]], ["A", "b."], True),
        ("array of string", [["a", "b"]], ["b", "a"], False),
        ("array of string", [["a"]], [1], False),
        ("array of integer", [[1, 2]], (1, 2), False),
        ("array of integer", ["xs"], "xs", True),
        ("array of integer", [[1], ""], [], True),  # `""` reads as an empty list
        ("array", [[1, "a"]], [1, "A"], True),
        ("tuple of float", [[1.0, 2.0]], (1.0, 2.0), True),
        ("tuple of float", [[1.0, 2.0]], [1.0, 2.0], True),
        ("tuple of float", [[1.0, 2.0]], [1, 2], False),
        ("dict", [{"a": ["x", "y"], "b": [1, ""]}], {"a": "Y"}, True),
        ("dict", [{"a": ["x"]}], {"a": "x", "c": 1}, False),
        ("dict", [{"a": ["x"], "b": [1]}], {"a": "x"}, False),
        ("dict", ["", {"a": [1]}], {"a": 1}, True),
        ("array of dict", [[{"a": [1]}, {"a": [2]}]], [{"a": 1}, {"a": 2}], True),
        ("array of dict", [[{"a": [1]}, {"a": [2]}]], [{"a": 2}, {"a": 1}], False),
        ("array of dict", [[{"a": [1]}]], [{"a": 1}, {"a": 1}], False),
        ("string", ["x"], None, False),
    ],
)
def test_a_value_and_its_type(kind: str, accepted: list[Any], value: Any, fits: bool) -> None:
    """A rule of the benchmark that is tightened or loosened."""
    judgement = judge(
        [Call("f", {"x": value})], "simple_python", [documented(x=kind)], [{"f": {"x": accepted}}]
    )
    assert judgement.valid is fits
    assert bool(judgement.reason) is not fits


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call("g", {"x": 1}), "expected a call of f, got g"),
        (Call("f", {"y": 1}), "expected the required argument 'x', got none"),
        (Call("f", {"x": 1, "z": 1}), "expected no argument 'z'"),
        (Call("f", {"x": 1, "y": 1, "w": 1}), "expected no argument 'w'"),
        (Call("f", {"x": 1}), "expected the argument 'y', got none"),
        (Call("f", {"x": 2, "y": 1}), "x: expected type integer and one of [1], got 2 (int)"),
    ],
)
def test_what_is_wrong_is_said(call: Call, reason: str) -> None:
    """A wrong answer that nobody can look into."""
    function = documented(x="integer", y="integer?", w="integer?")
    answer = {"f": {"x": [1], "y": [1], "v": [""]}}
    assert judge([call], "simple_python", [function], [answer]) == (False, reason)


def test_calls_in_parallel_may_come_in_any_order_and_each_counts_once() -> None:
    """Two equal calls that satisfy two answers; an order that is enforced."""
    functions = [documented("f", x="integer"), documented("g", x="integer")]
    answers = [{"f": {"x": [1]}}, {"g": {"x": [2]}}, {"f": {"x": [3]}}]
    right = [Call("f", {"x": 3}), Call("f", {"x": 1}), Call("g", {"x": 2})]
    assert judge(right, "parallel_multiple", functions, answers).valid
    assert judge(right[:2], "parallel", functions, answers).reason == "expected 3 calls, got 2"
    double = [right[0], right[0], right[2]]
    assert judge(double, "parallel", functions, answers).reason == "no call fits f"


def test_an_answer_of_an_undocumented_function_cannot_be_met() -> None:
    """A bad label that ends a run with a KeyError."""
    judgement = judge([Call("g", {})], "multiple", [documented("f")], [{"g": {}}])
    assert not judgement.valid


@pytest.mark.parametrize(
    ("text", "irrelevant", "relevant"),
    [
        ("None of these functions applies.", True, False),
        ("[]", True, False),
        ("[f(a=1)]", False, True),
        ('{"name": "f", "arguments": {}}', False, True),
        ('{"name": "f", "argum', False, False),
        ("[f(a=1", False, False),
    ],
)
def test_calling_nothing_and_calling_anything(text: str, irrelevant: bool, relevant: bool) -> None:
    """Half a call that counts as a refusal to call."""
    function = documented("f", a="integer?")
    assert judge_text(text, "live_irrelevance", [function], []).valid is irrelevant
    assert judge_text(text, "live_relevance", [function], []).valid is relevant


@pytest.mark.parametrize(
    "text",
    [
        "[f(1, y='b')]",
        "f(x=1, y='b')",
        '{"name": "f", "arguments": {"x": 1, "y": "b"}}',
        '<tool_call>{"name": "f", "arguments": {"y": "b", "x": 1}}</tool_call>',
        '{"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1, "y": "b"}}}]}',
    ],
)
def test_every_form_of_an_answer_is_read(text: str) -> None:
    """An agent that is scored by its syntax."""
    function = documented(x="integer", y="string")
    assert read_answer(text, "simple_python", [function]) == (Call("f", {"x": 1, "y": "b"}),)


@pytest.mark.parametrize(
    ("category", "kind", "accepted", "value", "fits"),
    [
        ("simple_java", "long", [5], "5L", True),
        ("simple_java", "long", [5], "5", False),
        ("simple_java", "long", [5], 5, False),
        (
            "simple_java",
            "ArrayList of integer",
            [[1, 2]],
            "new ArrayList<>(Arrays.asList(1, 2))",
            True,
        ),
        ("simple_java", "any", ["thing"], "thing", True),
        ("simple_javascript", "Boolean", [True], "true", True),
        ("simple_javascript", "Boolean", [True], True, False),
        ("simple_javascript", "array of float", [[1.0, 2.5]], "[1.0, 2.5]", True),
        ("simple_javascript", "dict", [{"a": [1]}], "{a: 1}", True),
    ],
)
def test_other_languages_values_are_source_text(
    category: str, kind: str, accepted: list[Any], value: Any, fits: bool
) -> None:
    """A JSON number accepted where the benchmark wants Java's literal."""
    functions, answers = [documented(x=kind)], [{"f": {"x": accepted}}]
    assert judge([Call("f", {"x": value})], category, functions, answers).valid is fits
    if fits:
        assert judge_text(f"[f(x={value})]", category, functions, answers).valid


def test_a_type_that_the_benchmark_has_not_is_the_datas_fault() -> None:
    """A typing error in a user's data that counts as the agent's."""
    with pytest.raises(BadInput, match="unknown type 'strng' in python; known: string, any"):
        judge([Call("f", {"x": 1})], "multiple", [documented(x="strng")], [{"f": {"x": [1]}}])
