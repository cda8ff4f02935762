"""What each method learns from: chosen episodes, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agentgym_si.errors import BadInput
from agentgym_si.methods.control import WarmOnly
from agentgym_si.methods.rft import RFT
from agentgym_si.methods.sharpening import Sharpening
from agentgym_si.types import Action, Failure, Task, Trajectory, Transition

pytestmark = pytest.mark.train  # the loop, which the methods' context comes from, needs torch


def played(name: str, seed: int, token: int, reward: float, steps: int = 1) -> Trajectory:
    action = Action(str(token), (1,), (token,), (-9.0,))
    step = Transition("o", action, reward / steps, True, False)
    return Trajectory(name, "env", Task("t"), (step,) * steps, "", seed)


LOGPROB = {1: -0.1, 2: -0.7, 3: -2.0}
"""What the policy would say of each action at temperature 1; the recorded -9 is another's."""

CONTEXT: Any = SimpleNamespace(
    rows=lambda trajectory, weight: [(trajectory.id, weight)],
    policy=SimpleNamespace(
        logprobs=lambda contexts, completions: [(LOGPROB[tokens[0]],) for tokens in completions]
    ),
)

WRONG = played("wrong", 0, token=1, reward=0.0)
RIGHT = played("right", 0, token=3, reward=1.0)
TWIN = played("twin", 0, token=3, reward=1.0)
DETOUR = played("detour", 1, token=2, reward=1.0, steps=2)
DIRECT = played("direct", 1, token=1, reward=1.0)
BROKEN = Trajectory(
    "broken", "env", Task("t"), RIGHT.transitions, "", 2, failure=Failure("died", "gone")
)
ALL = [WRONG, RIGHT, TWIN, DETOUR, DIRECT, BROKEN]


def chosen(method: Any) -> list[str]:
    rows = method.curate(ALL, CONTEXT)
    assert all(weight == 1.0 for _, weight in rows)
    return [name for name, _ in rows]


def test_rft_keeps_what_the_verifier_accepts_without_repeats() -> None:
    assert chosen(RFT()) == ["right", "detour", "direct"]
    assert chosen(RFT(shortest=True)) == ["right", "direct"]
    assert chosen(RFT(cap=1)) == ["right"]


def test_rft_without_a_threshold_is_unfiltered_but_for_failed_boxes() -> None:
    assert chosen(RFT(threshold=0.0)) == ["wrong", "right", "detour", "direct"]


def test_rft_reads_another_judge_where_given_one() -> None:
    assert chosen(RFT(judge=lambda trajectory: float(trajectory.id == "wrong"))) == ["wrong"]


def test_sharpening_takes_the_mode_even_where_it_is_wrong() -> None:
    """It needs no label, so it cannot know better than the policy: the paper's falsifier."""
    assert chosen(Sharpening(samples=2)) == ["wrong", "direct"]


def test_sharpening_by_token_does_not_favour_short_episodes() -> None:
    long = played("long", 5, token=2, reward=0.0, steps=4)  # -2.8 in all, -0.7 a token
    short = played("short", 5, token=3, reward=0.0)  # -2.0 in all, -2.0 a token
    by_episode = Sharpening(samples=2).curate([long, short], CONTEXT)
    by_token = Sharpening(samples=2, length_normalised=True).curate([long, short], CONTEXT)
    assert by_episode == [("short", 1.0)] and by_token == [("long", 1.0)]


def test_the_control_arm_learns_nothing_new() -> None:
    assert WarmOnly().samples == 0 and chosen(WarmOnly()) == []


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match="samples of at least 1, got 0"):
        RFT(samples=0)
    with pytest.raises(BadInput, match="cap of at least 1 or None, got 0"):
        RFT(cap=0)
    with pytest.raises(BadInput, match="samples of at least 2"):
        Sharpening(samples=1)
