"""Guards what counts as telling the user: whole tokens, nothing beside them, no lists."""

from __future__ import annotations

import pytest

from agentgym_si.envs.tools.answers import MOST_NUMBERS, mentions, tells


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("It is 1.", "1", True),
        ("It is 10.", "1", False),
        ("It is 21", "1", False),
        ("1.5 of them", "1", False),
        ("on 2026-1-4", "1", False),
        ("at 1:30", "1", False),
        ("(1)", "1", True),
        ("$1!", "1", True),
        ("ADA did", "Ada", True),
        ("Adam did", "Ada", False),
        ("docs/ada.txt", "docs/ada", False),
        ("see docs/ada", "docs/ada", True),
        ("a.c", "a+c", False),
    ],
)
def test_values_are_found_as_whole_tokens(text: str, value: str, found: bool) -> None:
    """A 1 that is told by every number with a 1 in it."""
    assert mentions(text, value) is found


@pytest.mark.parametrize("said", ["1234", "1,234", "$1,234.00", "exactly 1234!"])
def test_numbers_count_as_people_write_them(said: str) -> None:
    """A separator or two decimals that lose the reward."""
    assert tells(said, ("1234",), (), "")
    assert not tells(said, ("234",), (), "")


def test_an_hour_may_be_written_as_a_time() -> None:
    """An agent that answers 9:00 where the calendar says 9."""
    assert tells("on Friday at 9:00.", ("9", "friday"), ("10",), "")
    assert not tells("on Friday at 9:30.", ("9", "friday"), ("10",), "")


def test_who_tells_all_of_a_kind_tells_nothing() -> None:
    """A list of every balance that holds the right one."""
    assert tells("57", ("57",), ("58", "59"), "")
    assert not tells("57 or 58", ("57",), ("58", "59"), "")
    assert tells("57, not 58 as you thought", ("57",), ("58", "59"), "Is it 58?")


def test_guessing_by_listing_numbers_tells_nothing() -> None:
    """A sum that is guessed by writing every number down."""
    few = " ".join(map(str, range(50, 50 + MOST_NUMBERS)))
    assert tells(few, ("57",), (), "")
    assert not tells(f"{few} 99", ("57",), (), "")
    assert tells(f"{few} 99", ("57",), (), "99 is what I paid")
    assert not tells("word " * 500 + "57", ("57",), (), "")
