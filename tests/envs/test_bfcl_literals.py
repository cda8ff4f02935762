"""Guards Java and JavaScript literals: read as the benchmark reads them, written to read back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.bfcl_literals import (
    JAVA_TYPES,
    JAVASCRIPT_TYPES,
    read_java,
    read_javascript,
    write_literal,
)


@pytest.mark.parametrize(
    ("text", "kind", "inner", "value"),
    [
        ("-7", "integer", None, -7),
        ("7.0", "integer", None, "7.0"),
        ("7L", "long", None, 7),
        ("7", "long", None, "7"),
        ("3.5f", "float", None, 3.5),
        ("3.5", "float", None, "3.5"),
        ("1e3", "double", None, 1000.0),
        ("true", "boolean", None, True),
        ("True", "boolean", None, "True"),
        ("'x'", "char", None, "'x'"),
        ("7", "any", None, "7"),
        ("new int[]{1, 2}", "Array", "integer", [1, 2]),
        ('new Object[]{1, "a", true, 2L}', "Array", None, [1, "a", True, 2]),
        ('new String[]{"a"}', "Array", "String", ['"a"']),
        ("values", "Array", "integer", "values"),
        ("new ArrayList<>(Arrays.asList(1, 2))", "ArrayList", "integer", [1, 2]),
        ('new ArrayList<String>() {{ add("a"); add("b"); }}', "ArrayList", "String", ["a", "b"]),
        ("new ArrayList<>()", "ArrayList", "integer", []),
        ('new HashMap<>() {{ put("a", 1); put("b", "x"); }}', "HashMap", None, {"a": 1, "b": "x"}),
        ("new HashMap<String, Integer>()", "HashMap", None, {}),
        ("9" * 500, "integer", None, "9" * 500),
    ],
)
def test_java(text: str, kind: str, inner: str | None, value: Any) -> None:
    """A literal without its suffix that passes, or a variable's name taken for a value."""
    assert read_java(text, kind, inner) == value
    assert type(read_java(text, kind, inner)) is type(value)


@pytest.mark.parametrize(
    ("text", "kind", "inner", "value"),
    [
        ("7", "integer", None, 7),
        ("7n", "Bigint", None, 7),
        ("1.5", "float", None, 1.5),
        ("1e3", "float", None, "1e3"),
        ("false", "Boolean", None, False),
        ("'a'", "String", None, "a"),
        ("a", "String", None, "a"),
        ("[1, 2]", "array", "integer", [1, 2]),
        ("['a', \"b\"]", "array", "String", ["a", "b"]),
        ("new Array(1, true)", "array", None, [1, True]),
        ("[[1, 2], [3]]", "array", "array", [[1, 2], [3]]),
        ("[]", "array", None, []),
        ("items", "array", None, "items"),
        ("{}", "dict", None, {}),
        ("{a: 1, 'b': [1, 2], c: 'x'}", "dict", None, {"a": 1, "b": [1, 2], "c": "x"}),
        ("options", "dict", None, "options"),
    ],
)
def test_javascript(text: str, kind: str, inner: str | None, value: Any) -> None:
    """An object literal whose values stay text."""
    assert read_javascript(text, kind, inner) == value
    assert type(read_javascript(text, kind, inner)) is type(value)


@pytest.mark.parametrize(
    ("value", "kind", "inner", "language"),
    [
        (5, "long", None, "java"),
        (0.5, "float", None, "java"),
        (True, "boolean", None, "java"),
        ([1, 2], "ArrayList", "integer", "java"),
        (["a", "b"], "ArrayList", "String", "java"),
        ([], "ArrayList", "String", "java"),
        (["-v", "2"], "Array", "String", "java"),
        ([1.5, 2.0], "Array", "double", "java"),
        ({"a": 1, "b": "x", "c": True}, "HashMap", None, "java"),
        (5, "Bigint", None, "javascript"),
        (0.5, "float", None, "javascript"),
        (["a", "b"], "array", "String", "javascript"),
        ({"a": 1, "b": "x", "c": [1, 2]}, "dict", None, "javascript"),
    ],
)
def test_what_is_written_reads_back(
    value: Any, kind: str, inner: str | None, language: str
) -> None:
    """An oracle whose answer the scorer does not understand."""
    read = read_java if language == "java" else read_javascript
    assert read(write_literal(value, kind, inner, language), kind, inner) == value


@given(st.text(alphabet="[]{}(),:'\"newArayList<>HashMp 1.-+eLf", max_size=40), st.data())
def test_any_text_is_read(text: str, data: st.DataObject) -> None:
    """A text on which the readers raise."""
    read_java(text, data.draw(st.sampled_from(sorted(JAVA_TYPES))))
    read_javascript(text, data.draw(st.sampled_from(sorted(JAVASCRIPT_TYPES))))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[[" + "[],[" * 490, "array"),
        ("{" + "a" * 1900, "dict"),
        ("{" + "a:,a," * 380 + "}", "dict"),
        ("new HashMap<>() {" + " " * 1900, "HashMap"),
        ("new HashMap<" + " a" * 900, "HashMap"),
        ("new ArrayList<>(Arrays.asList(" * 60, "ArrayList"),
        ("x" * 1_000_000, "dict"),
    ],
)
def test_no_text_takes_long_to_read(text: str, kind: str) -> None:
    """A pattern that backtracks for ever over a text without an end."""
    began = time.perf_counter()
    (read_java if kind in JAVA_TYPES else read_javascript)(text, kind)
    assert time.perf_counter() - began < 1
