"""Credit: faults guarded are a failed box counted as a loss, and a bonus paid for failing first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agentgym_si.errors import BadInput
from agentgym_si.training.advantages import (
    group_advantages,
    spread,
    step_advantages,
    turn_credit,
)


def test_group_advantages_by_hand() -> None:
    """Mean 1/4; the sample's deviation is 1/2, the population's sqrt(3)/4."""
    rewards = [[1.0, 0.0, 0.0, 0.0]]
    assert group_advantages(rewards, epsilon=0.0).tolist() == [[1.5, -0.5, -0.5, -0.5]]
    whole = group_advantages(rewards, sample=False, epsilon=0.0)
    assert whole[0].tolist() == pytest.approx([math.sqrt(3), *[-1 / math.sqrt(3)] * 3])
    assert group_advantages(rewards, scale="none").tolist() == [[0.75, -0.25, -0.25, -0.25]]


def test_a_failed_box_is_in_no_mean_and_has_no_weight() -> None:
    rewards = [[1.0, 0.0, math.nan], [1.0, 1.0, math.nan], [math.nan] * 3]
    without = group_advantages([[1.0, 0.0]])
    assert group_advantages(rewards).tolist() == [[*without[0].tolist(), 0.0], [0.0] * 3, [0.0] * 3]


def test_a_group_of_equal_rewards_teaches_nothing() -> None:
    assert not group_advantages([[0.3] * 7, [0.0] * 7, [1.0] * 7]).any()
    assert group_advantages([[0.7]]).tolist() == [[0.0]]


def test_a_bonus_belongs_to_the_attempt_that_earned_it() -> None:
    """V4: what being right at once is worth to attempt 1, over how often attempt 2 is right then.

    Attempt 2 is right with probability 0.8 after a right one and 0.5 after a wrong one; alpha = 10.
    """
    attempts = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=float)
    after_right, after_wrong = np.array([0.8, 0.2, 0, 0]), np.array([0, 0, 0.5, 0.5])
    credit = turn_credit(attempts, bonus=10.0)
    assert credit[:, 0].tolist() == [1, 1, 0, 0]
    assert credit[:, 1].tolist() == [1, -10, 11, 0]
    own = credit[:, 0] @ (after_right - after_wrong)
    whole = credit.sum(1) @ (after_right - after_wrong)
    assert own == pytest.approx(1.0)
    assert whole == pytest.approx(1 + 0.3 + 10 * (0.3 - 1))  # -5.7: better to fail first


def test_a_credit_a_turn_becomes_a_weight_a_token() -> None:
    turns = [None, 0, 0, None, 1, 1]
    assert spread([0.5, -2.0], turns) == (0.0, 0.5, 0.5, 0.0, -2.0, -2.0)


def test_step_advantages_are_the_change_of_value() -> None:
    assert step_advantages([0.5, 0.75], [0.75, 0.25]).tolist() == [0.25, -0.5]


def test_shapes_are_checked() -> None:
    with pytest.raises(BadInput, match=r"shape \(P, G\), got \(2,\)"):
        group_advantages([1.0, 0.0])
    with pytest.raises(BadInput, match="alike"):
        step_advantages([0.5], [0.5, 1.0])
