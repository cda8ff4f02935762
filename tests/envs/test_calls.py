"""Guards the one parser of tool calls: its forms, its complaints, and that nothing else escapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.calls import MAX_DEPTH, Call, format_call, format_calls, parse_calls
from agentgym_si.errors import ActionError

LOOK = Call("look", {"at": "the door"})
BARE = '{"name": "look", "arguments": {"at": "the door"}}'
IN_STRING = json.dumps({"name": "look", "arguments": '{"at": "the door"}'})


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (BARE, (LOOK,)),
        (f"\n  {BARE} \n", (LOOK,)),
        (f"[{BARE}, {BARE}]", (LOOK, LOOK)),
        (f"<tool_call>{BARE}</tool_call>", (LOOK,)),
        (
            f"I go.\n<tool_call>\n{BARE}\n</tool_call> and <tool_call>{BARE}</tool_call>!",
            (LOOK,) * 2,
        ),
        (f"<tool_call>[{BARE}, {BARE}]</tool_call>", (LOOK, LOOK)),
        (f"[first] <tool_call>{BARE}</tool_call>", (LOOK,)),
        (
            f'{{"role": "assistant", "content": null, "tool_calls": [{{"function": {BARE}}}]}}',
            (LOOK,),
        ),
        (
            f'{{"tool_calls": [{{"id": "1", "type": "function", "function": {IN_STRING}}}]}}',
            (LOOK,),
        ),
        (f'{{"type": "function", "function": {IN_STRING}}}', (LOOK,)),
        (IN_STRING, (LOOK,)),
        ('{"name": "ls", "arguments": ""}', (Call("ls", {}),)),
        (f'[{{"function": {BARE}}}]', (LOOK,)),
        (
            '{"name": "say", "arguments": {"text": "</tool_call> <tool_call>{"}}',
            (Call("say", {"text": "</tool_call> <tool_call>{"}),),
        ),
        (
            '<tool_call>{"name": "say", "arguments": {"text": "</tool_call>"}}</tool_call>',
            (Call("say", {"text": "</tool_call>"}),),
        ),
    ],
)
def test_every_form_gives_the_same_calls(text: str, calls: tuple[Call, ...]) -> None:
    """A form that a model was trained on and that is taken for an answer to the user."""
    assert parse_calls(text) == calls


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "noop()",
        "It is 42.",
        "[1, 2]",
        "[]",
        '["name"]',
        '{"total": 3}',
        '{"a": 1, "a": 2}',
        '{"total": 3',
        "{" * 1000,
        f"I would say {BARE}",
        "{see above}",
        "[f(x={'name': 'a'})]",
        "null",
        "</tool_call>",
        '{"role": "assistant", "content": "42", "tool_calls": null}',
        '{"tool_calls": []}',
    ],
)
def test_everything_else_is_an_answer(text: str) -> None:
    """An answer that happens to be JSON, refused as a broken call."""
    assert parse_calls(text) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BARE[:-1], "expected JSON, got the end of the text at character 48 (expecting ',' delim"),
        (
            f"{BARE} {BARE}",
            '(several calls go into one list), got \'{"name": "look", "ar\' at char',
        ),
        ("{'name': 'look', 'arguments': {}}", "got \"'name': 'look', 'arg\" at character 1"),
        ("<tool_call>look</tool_call>", "expected JSON, got 'look</tool_call>' at character 11"),
        (f"so: <tool_call>{BARE}", "expected </tool_call> after the JSON, got the end of the text"),
        (f"<tool_call>{BARE}<tool_call>", "expected </tool_call> after the JSON, got '<tool_call>"),
        ("<tool_call>", "expected JSON, got the end of the text at character 11"),
        ("<tool_call>[3]</tool_call>", "got 3 in entry 0 of the list at character 11"),
        ('{"name": "look"}', "expected a call with the key 'arguments', got 'name' at character 0"),
        (f'[{BARE}, {{"nam": "x"}}]', "with the key 'name', got 'nam' in entry 1 of the list"),
        ('{"name": "look", "arguments": [1]}', "'arguments' of look to be an object, got [1]"),
        ('{"name": 3, "arguments": {}}', "expected 'name' to be the name of a tool, got 3"),
        ('{"name": "", "arguments": {}}', "expected 'name' to be the name of a tool, got ''"),
        (
            '{"name": "a", "arguments": {}, "args": {}}',
            "expected only 'name' and 'arguments' in a call",
        ),
        ('{"name": "a", "arguments": "{"}', "at character 1 (expecting property name enclosed in"),
        (
            '{"name": "a", "arguments": "{} x"}',
            "expected the end of the JSON, got 'x' at character 3",
        ),
        ('{"tool_calls": 3}', "expected 'tool_calls' to be a list, got 3 at character 0"),
        ('{"tool_calls": [null]}', "got None in tool call 0 of the message at character 0"),
        (
            ' {"name": "a", "name": "b"}',
            "each key once, got 'name' twice in the JSON at character 1",
        ),
        (
            '{"name": "a", "arguments": {"x": NaN}}',
            "expected finite numbers, got NaN in the JSON at",
        ),
        ('{"name": "a", "arguments": {"x": -Infinity}}', "expected finite numbers, got -Infinity"),
        ('{"name": "a", "arguments": {"x": 1e999}}', "expected finite numbers, got inf"),
        (
            '{"name": "a", "arguments": {"x": 9223372036854775808}}',
            "of at most 64 bits, got a greater",
        ),
        (
            '{"name": "a", "arguments": {"x": ' + "9" * 5000 + "}}",
            "of at most 64 bits, got a greater",
        ),
        ('{"name": "a", "arguments": {"x": "\\ud800"}}', "expected whole characters"),
        (
            '{"name": "a", "arguments": {"x": ' + "[" * 64 + "]" * 64 + "}}",
            "at most 64 deep, got more",
        ),
        (
            '{"name": "a", "arguments": {"x": ' + "[" * 100_000,
            "at most 64 deep, got more at character 0",
        ),
    ],
)
def test_a_broken_call_is_said_to_be_one(text: str, message: str) -> None:
    """A slip in a call that silently ends the episode as an answer, or a crash."""
    with pytest.raises(ActionError) as caught:
        parse_calls(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_json_allows_is_passed_on() -> None:
    """A limit that is reached one too early."""
    least, deepest = -(2**63), json.loads("[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2))
    call = Call("a", {"least": least, "deepest": deepest, "half": 0.5, "none": None, "yes": True})
    assert parse_calls(format_call(call)) == (call,)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CALLS = st.builds(Call, st.text(min_size=1), st.dictionaries(st.text(), JSON_VALUES, max_size=3))


@given(st.lists(CALLS, max_size=3), st.booleans())
def test_what_is_formatted_reads_back(calls: list[Call], tagged: bool) -> None:
    """A call whose arguments come back as others."""
    text = format_calls(calls)
    assert parse_calls(f"<tool_call>{text}</tool_call>" if tagged else text) == tuple(calls)


PIECES = st.sampled_from(
    [
        '{"name": ',
        '"arguments": {',
        '"tool_calls": [',
        '"function": ',
        '"x"',
        ": ",
        ", ",
        "}",
        "]",
        "[",
        "{",
        "<tool_call>",
        "</tool_call>",
        "1e400",
        "NaN",
        "-",
        "\\ud800",
        '"',
        "9" * 5000,
        "null",
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    """An exception of the JSON library that ends a run of a thousand episodes."""
    try:
        calls = parse_calls(text)
    except ActionError:
        return
    assert all(isinstance(call.name, str) and isinstance(call.arguments, dict) for call in calls)
