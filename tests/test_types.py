"""Guards the records' own arithmetic and the lengths they check."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from agentgym_si.types import (
    Action,
    Costs,
    Failure,
    Group,
    Preference,
    Task,
    Trajectory,
    Transition,
    Verdict,
    Weighted,
)


def episode(*rewards: float, **fields: Any) -> Trajectory:
    steps = tuple(
        Transition(f"page {index}", Action(f"act {index}"), reward, False, False)
        for index, reward in enumerate(rewards)
    )
    return Trajectory("id", "env", Task("t"), steps, "the end", 0, **fields)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Action("a", (1,), (2, 3), (0.5,)), "logprobs of shape (2,), got (1,)"),
        (lambda: Action("a", (), (2, 3)), "expected prompt_ids where token_ids are given"),
        (lambda: Verdict(1.5), "expected score in [0, 1], got 1.5"),
        (lambda: Verdict(0.5, confidence=-1), "expected confidence in [0, 1], got -1"),
        (lambda: Verdict(float("nan")), "expected score in [0, 1], got nan"),
        (lambda: Weighted((1,), (2, 3), (1.0,)), "weights of shape (2,), got (1,)"),
        (lambda: Weighted((1,), (2,), (1.0,), (0.0, 0.0)), "logprobs of shape (1,), got (2,)"),
        (
            lambda: Preference((1,), (2,), (3,), (1.0, 1.0)),
            "chosen_weights of shape (1,), got (2,)",
        ),
        (
            lambda: Preference((1,), (2,), (3,), (), (1.0, 1.0)),
            "rejected_weights of shape (1,), got (2,)",
        ),
        (lambda: Group("t", (), (1.0,)), "rewards of shape (0,), got (1,)"),
    ],
)
def test_lengths_and_ranges_are_checked(make: Any, message: str) -> None:
    """Weights that are shifted against their tokens, found only in a strange loss."""
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_records_are_frozen() -> None:
    """A trajectory that changes after it was stored."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        episode().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("rewards", "total", "solved"),
    [((), 0.0, False), ((0.0, 1.0), 1.0, True), ((0.1,) * 10, 1.0, True), ((0.5, 0.4), 0.9, False)],
)
def test_return_is_the_sum_and_solved_allows_for_float_sums(
    rewards: tuple[float, ...], total: float, solved: bool
) -> None:
    """Ten rewards of 0.1, which sum to 0.9999999999999999, counted as unsolved."""
    assert episode(*rewards).episode_return == pytest.approx(total)
    assert episode(*rewards).solved is solved


def test_a_failed_box_is_never_solved() -> None:
    """An episode whose browser died after the reward, counted as success."""
    assert not episode(1.0, failure=Failure("crash", "the browser died")).solved


def test_messages_alternate_and_end_before_the_final_observation() -> None:
    """The final observation, which nobody answered, as a training example."""
    messages = episode(0.0, 1.0, instructions="Do it.").messages()
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert [message["content"] for message in messages] == [
        "Do it.",
        "page 0",
        "act 0",
        "page 1",
        "act 1",
    ]
    assert episode(0.0).messages()[0]["role"] == "user"
    assert episode(0.0, 1.0).actions == ("act 0", "act 1")


def test_costs_add_field_by_field() -> None:
    """Seconds of the model counted as seconds of the environment."""
    assert Costs(1.0, 2.0, 3, 4) + Costs(10.0, 20.0, 30, 40) == Costs(11.0, 22.0, 33, 44)
