"""Scores, intervals and paired tests against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from agentgym_si.errors import BadInput
from agentgym_si.evaluate import (
    bootstrap_interval,
    compare,
    mcnemar,
    score,
    score_by_task,
    t_interval,
    wilson_interval,
)
from agentgym_si.types import Action, Failure, Task, Trajectory, Transition


def played(task: str, seed: int, reward: float, failed: bool = False) -> Trajectory:
    step = Transition("o", Action("a"), reward, not failed, failed)
    failure = Failure("browser_died", "gone") if failed else None
    return Trajectory(f"e/{task}/{seed}", "env", Task(task), (step,), "", seed, failure=failure)


def test_wilson_interval_is_the_published_one() -> None:
    low, high = wilson_interval(8, 10)  # Wilson 1927 by hand: centre 0.7167, half-width 0.2265
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 5)[0] == 0.0 and wilson_interval(5, 5)[1] == 1.0


def test_mcnemar_is_the_exact_binomial_tail() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == 1 / 32
    assert mcnemar(3, 1) == (4 + 1) / 16
    assert mcnemar(1, 3) == (4 + 6 + 4 + 1) / 16


def test_a_failed_box_is_in_no_denominator() -> None:
    result = score([played("t", 0, 1.0), played("t", 1, 0.0), played("t", 2, 0.0, failed=True)])
    assert (result.success, result.n, result.failures) == (0.5, 2, 1)


def test_partial_reward_is_no_success() -> None:
    assert score([played("t", 0, 0.9)]).success == 0.0


def test_comparison_counts_flips_on_shared_episodes_only() -> None:
    before = [played("t", s, r) for s, r in ((0, 0.0), (1, 0.0), (2, 1.0), (3, 1.0), (9, 1.0))]
    after = [played("t", s, r) for s, r in ((0, 1.0), (1, 1.0), (2, 0.0), (3, 1.0), (8, 1.0))]
    after.append(played("t", 9, 0.0, failed=True))
    result = compare(before, after)
    assert (result.gained, result.lost, result.n) == (2, 1, 4)
    assert result.difference == 0.25 and result.p_value == 0.5
    with pytest.raises(BadInput, match="none in common"):
        compare(before, [played("u", 0, 1.0)])


def test_repeated_episodes_are_paired_in_order() -> None:
    before = [played("t", 0, 0.0), played("t", 0, 1.0)]
    after = [played("t", 0, 1.0), played("t", 0, 1.0)]
    assert (compare(before, after).gained, compare(before, after).n) == (1, 2)


def test_bootstrap_interval_covers_and_leaves_the_global_generator_alone() -> None:
    state = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    low, high = bootstrap_interval(np.array([0.0, 1.0] * 50))
    assert 0.38 < low < 0.42 and 0.58 < high < 0.62
    assert np.random.get_state()[1].tolist() == state  # type: ignore[union-attr]


def test_t_interval_by_hand() -> None:
    mean, low, high = t_interval([1.0, 2.0, 3.0])  # sd 1, t(2) = 4.303, half-width 2.4844
    assert mean == 2.0 and round(high, 3) == 4.484 and round(low, 3) == -0.484
    with pytest.raises(BadInput, match="at least 2"):
        t_interval([1.0])


def test_scores_by_task_are_in_order_of_name() -> None:
    scores = score_by_task([played("b", 0, 1.0), played("a", 0, 0.0)])
    assert list(scores) == ["a", "b"] and scores["b"].success == 1.0
