"""Four ways of writing an action: each means the same, and what means nothing is refused."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.web.actions import ACTIONS, Call
from agentgym_si.envs.web.dialects import parse_action
from agentgym_si.errors import ActionError

HEIGHT = 200.0

SAME = {
    "click": (
        Call("click", (12, "left", ())),
        ("click('12')", "click [12]", "Action: Click [12]", ("click", {"bid": "12"})),
    ),
    "type": (
        Call("type", (12, "two words", True)),
        (
            "type('12', 'two words', True)",
            "type [12] [two words] [1]",
            "Action: Type [12]; [two words]",
            ("type", {"bid": 12, "value": "two words", "enter": True}),
        ),
    ),
    "scroll": (
        Call("scroll", (0.0, 160.0)),
        (
            "scroll(0, 160)",
            "scroll [down]",
            "Action: Scroll [WINDOW]; down",
            ("scroll", {"delta_x": 0, "delta_y": 160}),
        ),
    ),
    "back": (
        Call("go_back", ()),
        ("go_back()", "go_back", "Action: GoBack", ("go_back", {})),
    ),
    "home": (
        Call("go_home", ()),
        ("go_home()", "restart", "Action: Google", ("go_home", {})),
    ),
    "wait": (
        Call("noop", (0.0,)),
        ("noop()", "wait", "Action: Wait", ("noop", {})),
    ),
    "answer": (
        Call("send_msg_to_user", ("42 pounds",)),
        (
            "send_msg_to_user('42 pounds')",
            "stop [42 pounds]",
            "Action: ANSWER; [42 pounds]",
            ("send_msg_to_user", {"text": "42 pounds"}),
        ),
    ),
    "give up": (
        Call("report_infeasible", ("N/A",)),
        (
            "report_infeasible('N/A')",
            "stop [N/A]",
            "Action: ANSWER; [N/A]",
            ("report_infeasible", {"reason": "N/A"}),
        ),
    ),
}


@pytest.mark.parametrize("action", SAME)
def test_the_four_ways_of_writing_an_action_are_one(action: str) -> None:
    """A dialect whose action has other arguments, or another name."""
    call, (function, brackets, sentence, (name, arguments)) = SAME[action]
    tool = json.dumps({"name": name, "arguments": arguments})
    ways = [
        function,
        brackets,
        sentence,
        tool,
        f"<tool_call>{tool}</tool_call>",
        f"```json\n{tool}\n```",
    ]
    assert [parse_action(way, HEIGHT) for way in ways] == [call] * len(ways)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        # WebArena
        ("hover [7]", Call("hover", (7,))),
        ("press [Control+a]", Call("keyboard_press", ("Control+a",))),
        ("type [7] [no Enter] [0]", Call("type", (7, "no Enter", False))),
        ("type [7] [Enter by default]", Call("type", (7, "Enter by default", True))),
        ("type [7] [a [b] c] [1]", Call("type", (7, "a [b] c", True))),
        ("type [7] [] [0]", Call("type", (7, "", False))),
        ("scroll [up]", Call("scroll", (0.0, -160.0))),
        ("goto [http://a.test/x]", Call("goto", ("http://a.test/x",))),
        ("new_tab", Call("new_tab", ())),
        ("tab_focus [1]", Call("tab_focus", (1,))),
        ("close_tab", Call("tab_close", ())),
        ("go_forward", Call("go_forward", ())),
        (
            "The next action I will perform is ```click [7]```",
            Call("click", (7, "left", ())),
        ),
        ("Let's think.\nIn summary, the next action is click [7].", Call("click", (7, "left", ()))),
        # WebEvolver
        ("Thought: I go back.\nAction: goback", Call("go_back", ())),
        ("Action: restart", Call("go_home", ())),
        (
            "Thought: search.\nAction: type [7] [tea] [press_enter_after=1]",
            Call("type", (7, "tea", True)),
        ),
        (
            "Action: type [7] [tea] [press_enter_after=0]",
            Call("type", (7, "tea", False)),
        ),
        ("Action: stop [done]", Call("send_msg_to_user", ("done",))),
        # WebVoyager
        ("Action: Click [7]\n\nAction: click [7]", Call("click", (7, "left", ()))),
        ("Thought: The box is [7].\nAction: Click [8]", Call("click", (8, "left", ()))),
        ("Action: Type 7; tea", Call("type", (7, "tea", True))),
        ("Action: Scroll [7]; [up]", Call("scroll", (0.0, -160.0))),
        ("Action: ANSWER; not available", Call("send_msg_to_user", ("not available",))),
        # Calls
        ("Action: click('7')", Call("click", (7, "left", ()))),
        ("fill('7', 'click [8]')", Call("fill", (7, "click [8]"))),
        ("I type [8] into it: fill('7', 'x')", Call("fill", (7, "x"))),
    ],
)
def test_each_dialect_is_read_as_its_authors_write_it(text: str, call: Call) -> None:
    assert parse_action(text, HEIGHT) == call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("click [7]\nclick [8]", "expected one action, got"),
        ("click [7]\nhover [7]", "expected one action, got"),
        ("I could click [7] or type.", "expected one action"),
        ("type [7]", "expected type [id] [text] [0 or 1], got 1 arguments"),
        ("type [7] [a] [2]", "expected 0 or 1 for pressing Enter, got '2'"),
        ("click [submit]", "expected bid to be an element's id"),
        ("click", "got no bid"),
        ("Action: Click [7]\nAction: Click [8]", "expected one action, got"),
        ("Action: click [7]\nAction: type [8] [a]", "expected one action, got"),
        ("scroll [left]", "expected to scroll up or down, got 'left'"),
        ("Action: Click the button", "expected click with an element's number"),
        ("Action: Type 7", "expected 'Type [7]; text', got no text"),
        ("tab_focus [one]", "expected index to be a tab's number"),
        (
            '[{"name": "noop", "arguments": {}}, {"name": "go_back", "arguments": {}}]',
            "expected one action, got 2 tool calls",
        ),
        ('{"name": "clikc", "arguments": {}}', "did you mean click"),
        ('{"name": "click", "arguments": {"id": "7"}}', "got argument 'id'"),
        ('{"name": "click", "arguments": "7"}', "expected"),
        ('{"name": "click"', "expected"),
        ("<tool_call></tool_call>", "expected"),
        ("{}", "expected"),
    ],
)
def test_what_is_no_action_or_more_than_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(ActionError) as caught:
        parse_action(text, HEIGHT)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


PIECES = st.sampled_from(
    [
        *ACTIONS,
        *("click [7]", "type [7] [a] [1]", "scroll [down]", "stop [x]", "Action: ", "Thought: "),
        *("Type 7; x", "ANSWER; ", "<tool_call>", "</tool_call>", '{"name": "', '"arguments": {'),
        *("[", "]", "(", ")", "{", "}", '"', "'", "\\", "```", "\n", "press_enter_after="),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12).map("".join)


@given(st.one_of(st.text(), TEXTS, TEXTS.map(lambda text: f"Action: {text}")))
def test_whatever_the_text_only_action_error_comes_out(text: str) -> None:
    try:
        call = parse_action(text, HEIGHT)
    except ActionError:
        return
    assert call.name in ACTIONS
    assert len(call.arguments) == len(ACTIONS[call.name])


@pytest.mark.parametrize(
    "noise",
    [
        *("[", "click [", "click [7] ", "type [7] [a ", "[[]", "[a[b]", "Action: ", "action:\n"),
        *("<tool_call>", '<tool_call>{"name":', "{", '{"a":', "[" * 50 + "]", "click \t", "is \n"),
        "Action: Click\n",
    ],
)
def test_noise_is_refused_in_no_time(noise: str) -> None:
    """A pattern that tries every way of splitting a text that has none."""
    for length in (20_000, 60_000, 1 << 20):
        began = time.process_time()
        with pytest.raises(ActionError):
            parse_action(noise * (length // len(noise)), HEIGHT)
        assert time.process_time() - began < 1.0
