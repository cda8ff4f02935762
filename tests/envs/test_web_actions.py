"""The action language: what parses, what is refused, and that refusing is all it ever does."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgym_si.envs.web.actions import ACTIONS, Call, parse
from agentgym_si.errors import ActionError


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("noop()", Call("noop", (0.0,))),
        ("click('12')", Call("click", (12, "left", ()))),
        ('click("12", button="right")', Call("click", (12, "right", ()))),
        ("click(12, 'left', ['Shift'])", Call("click", (12, "left", ("Shift",)))),
        ("click('[12]')", Call("click", (12, "left", ()))),
        ("fill('3', 'it\\'s (half) done')", Call("fill", (3, "it's (half) done"))),
        ("fill(bid='3', value='a')", Call("fill", (3, "a"))),
        (r"fill('3', 'C:\dir')", Call("fill", (3, "C:\\dir"))),
        ("select_option('4', 'Blue')", Call("select_option", (4, ("Blue",)))),
        ("select_option('4', ['Blue', 'Red'])", Call("select_option", (4, ("Blue", "Red")))),
        ("scroll(0, -100)", Call("scroll", (0.0, -100.0))),
        ("mouse_click(1.5, 2)", Call("mouse_click", (1.5, 2.0, "left"))),
        ("report_infeasible('no')", Call("report_infeasible", ("no",))),
        ("I will press the button (3).\nclick('3')", Call("click", (3, "left", ()))),
        ("I click (it).\n```python\nclick('3')\n```\nDone.", Call("click", (3, "left", ()))),
        ("click('3'), that is click('3')", Call("click", (3, "left", ()))),
    ],
)
def test_reads_one_call_in_prose_or_fence(text: str, call: Call) -> None:
    assert parse(text) == call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one action"),
        ("I do not know.", "expected one action"),
        ("clikc('3')", "did you mean click"),
        ("click('3') click('4')", "expected one action, got"),
        ("click()", "got no bid"),
        ("click('3', 'left', [], 4)", "got 4 arguments"),
        ("click('a')", "expected bid to be an element's id"),
        ("click(True)", "expected bid to be an element's id"),
        ("click('-1')", "expected bid to be an element's id"),
        ("click('1', button='top')", "expected button to be"),
        ("click('1', size=3)", "got argument 'size'"),
        ("fill('3', 4)", "expected value to be a string"),
        ("fill('3', open('/etc/hostname').read())", "expected literal arguments"),
        ("fill('3', f'{1}')", "expected literal arguments"),
        ("scroll(1e400, 0)", "expected delta_x to be a number"),
        (f"scroll({10**400}, 0)", "expected delta_x to be a number"),
        ("scroll(0, float('nan'))", "expected literal arguments"),
        ("select_option('3', [1])", "expected options to be"),
        (f"press('3', '{'Control+' * 20}c')", "expected key_comb to be a key"),
        ("click('3'", "expected one action"),
        ("click(" + "(" * 300 + ")" * 301, "expected a call with literal arguments"),
    ],
)
def test_says_expected_and_got(text: str, message: str) -> None:
    with pytest.raises(ActionError, match=r".*") as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


CALLS = st.builds(
    "{}({})".format,
    st.sampled_from([*ACTIONS, "eval", "__import__"]),
    st.lists(st.one_of(st.text(), st.integers(), st.floats()).map(repr), max_size=4).map(", ".join),
)


@settings(deadline=None)
@given(st.one_of(st.text(), CALLS, st.tuples(st.text(), CALLS, st.text()).map("".join)))
def test_whatever_the_text_only_action_error_comes_out(text: str) -> None:
    try:
        call = parse(text)
    except ActionError:
        return
    assert call.name in ACTIONS
    assert len(call.arguments) == len(ACTIONS[call.name])


@pytest.mark.parametrize("noise", ["(", "click(", "\\", "click('", "```\n", "x" * 7 + "("])
def test_noise_is_refused_in_no_time(noise: str) -> None:
    for length in (60_000, 1 << 20):
        began = time.process_time()
        with pytest.raises(ActionError):
            parse(noise * (length // len(noise)))
        assert time.process_time() - began < 1.0
