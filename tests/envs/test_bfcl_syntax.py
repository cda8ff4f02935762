"""Guards calls in call syntax: what is read, what is refused, and that nothing is ever run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.bfcl_syntax import WrittenCall, read_calls, split_source
from agentgym_si.envs.calls import Call
from agentgym_si.errors import ActionError


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1, b='x')]", [("f", (), {"a": 1, "b": "x"})]),
        ("f(a=1), g()", [("f", (), {"a": 1}), ("g", (), {})]),
        ("```[f(1, b=True)]```", [("f", (1,), {"b": True})]),
        ("'[a.b.c(x=None)]'", [("a.b.c", (), {"x": None})]),
        ("[f(x=-1.5, y=[1, (2, 3)], z={'k': {}})]",
         [("f", (), {"x": -1.5, "y": [1, (2, 3)], "z": {"k": {}}})]),
        ("[f(x=name, y=a.b, z=g(1)[0])]", [("f", (), {"x": "name", "y": "a.b", "z": "g(1)[0]"})]),
        (r"[f(x='\d')]", [("f", (), {"x": r"\d"})]),
    ],
)  # fmt: skip
def test_python_calls(text: str, calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]]) -> None:
    """A positional argument that is dropped, a variable that is looked up."""
    assert [tuple(call) for call in read_calls(text)] == calls


@pytest.mark.parametrize(
    "text", ["", "[]", "[1, 2]", "I cannot (yet) do that.", "sorry(", "x" * 100_000, "None", "\x00"]
)
def test_prose_holds_no_calls(text: str) -> None:
    """An answer in words that is taken for a broken call."""
    assert read_calls(text) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[f(a=1", "expected calls [f(a=1), g(b='x')], got '(' was never closed at character 3"),
        ("[f(a='" + "x" * 100_000 + "')]", "got 100009 characters"),
        ("[f(a=1 + 2)]", "f: expected literal values, got '1 + 2'"),
        ("[f(a=not True)]", "f: expected literal values, got 'not True'"),
        ("[f(a=f'{1}')]", "f: expected literal values"),
        ("[f(a=b'x')]", "f: expected literal values"),
        ("[f(a=2j)]", "f: expected literal values"),
        ("[f(a={1: 2})]", "f: expected texts as keys, got '{1: 2}'"),
        ("[f(**x)]", "f: expected arguments one by one, got **"),
        ("[f(1), 2]", "expected only calls by name in the list, got '2'"),
        ("[f()()]", "expected only calls by name in the list, got 'f()()'"),
        ("[f(a=1e999)]", "expected finite numbers, got inf"),
        ("[f(a=99999999999999999999)]", "of at most 64 bits"),
        ("[f(a='\\ud800')]", "expected whole characters"),
        ("[f(a=" + "[" * 90 + "]" * 90 + ")]", "nested at most 64 deep"),
        ("[f(a=" + "(" * 5000, "got too many nested parentheses"),
        ("[f(a=" + "-" * 99_000 + "1)]", "an expression too deep to be read"),
    ],
)  # fmt: skip
def test_what_is_no_literal_is_refused(text: str, message: str) -> None:
    """Arithmetic that is evaluated, as the benchmark's own reader does; a parser that overflows."""
    with pytest.raises(ActionError) as caught:
        read_calls(text)
    assert message in str(caught.value)
    assert str(caught.value).count("expected") == 1


def test_arguments_get_their_names_from_the_documentation() -> None:
    """A positional argument that lands in the wrong place, or silently beside a named one."""
    parameters = {"f": ["a", "b"]}
    assert WrittenCall("f", (1,), {"b": 2}).bind(parameters) == Call("f", {"a": 1, "b": 2})
    for call, message in [
        (WrittenCall("f", (1,), {"a": 2}), "expected argument 'a' once, got it twice"),
        (WrittenCall("f", (1, 2, 3), {}), "f: expected at most 2 arguments without a name, got 3"),
        (WrittenCall("g", (1,), {}), "g: expected at most 0 arguments without a name, got 1"),
    ]:
        with pytest.raises(ActionError, match=message):
            call.bind(parameters)


@pytest.mark.parametrize("language", ["java", "javascript"])
def test_source_text_stays_as_it_is_written(language: str) -> None:
    """A comma inside a string or an array that cuts an argument in two."""
    text = """[A.run(name="a, (b", list=new int[]{1, 2}, 'c', when=x == 1), go()]"""
    assert read_calls(text, language) == (
        WrittenCall(
            "A.run", ("c",), {"name": "a, (b", "list": "new int[]{1, 2}", "when": "x == 1"}
        ),
        WrittenCall("go", (), {}),
    )
    assert read_calls("None of these applies.", language) == ()
    with pytest.raises(ActionError, match="got an unmatched bracket"):
        read_calls("[run(a=[1)", language)


def test_source_is_split_at_the_outermost_commas() -> None:
    """An escaped quote that ends a string."""
    assert split_source(r'"a\",b", [1, {2: 3}], c') == [r'"a\",b"', " [1, {2: 3}]", " c"]
    assert split_source("  ") == []


PIECES = st.sampled_from(
    ["f(", "[", "]", ")", "a=", "1", "-", "'", '"', ",", "{", "}", ":", "(", "x.y", "lambda: 0",
     "\\", "\x00", "9" * 5000, "not ", "*", "**", "\ud800", "1e999", "\n", "=", "if", "f''"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from(["python", "java"]))
def test_no_text_makes_it_raise_anything_else(text: str, language: str) -> None:
    """A MemoryError of Python's own parser that ends a run."""
    try:
        calls = read_calls(text, language)
    except ActionError:
        return
    assert all(isinstance(call.name, str) for call in calls)
