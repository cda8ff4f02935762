"""Guards LongHorizon with calls: the same world and measures, answers that are one tool call."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si.audit import audit
from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.long_horizon import (
    SUBMIT,
    LongHorizonEnv,
    horizon_length,
    inject_errors,
    step_accuracy,
    task_accuracy,
    turn_accuracy,
)
from agentgym_si.rollouts import Episode, rollout
from agentgym_si.testing import check_env


def test_calls_keep_the_contract() -> None:
    """A mode whose action space, tools or restore are those of the other."""
    check_env(partial(gym.make, "agentgym_si/LongHorizon-v0", calls=True))
    report = audit(lambda: LongHorizonEnv("sum-k[12]-t5", calls=True), seeds=2)
    assert report.ok, report
    assert all(row.oracle == 1.0 and row.cheat == row.noop == 0.0 for row in report.tasks)


def test_calls_and_plain_answers_are_the_same_episode() -> None:
    """Modes that cannot be compared because the world differs between them."""
    plain, calls = LongHorizonEnv("sum-k2-t5"), LongHorizonEnv("sum-k2-t5", calls=True)
    assert plain.tools == () and calls.tools == (SUBMIT,)
    assert plain.reset(seed=3)[0] == calls.reset(seed=3)[0]
    for number, call in zip(plain.solution, calls.solution, strict=True):
        assert json.loads(call) == {"name": "submit_sum", "arguments": {"total": int(number)}}
        assert call == calls.oracle() and call in calls.candidates()
        assert plain.step(number) == calls.step(call)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("12", "expected one call of submit_sum, got no call"),
        ('{"name": "add", "arguments": {"total": 1}}', "got add"),
        ('{"name": "submit_sum", "arguments": {"total": "1"}}', "of type integer, got"),
        ('{"name": "submit_sum", "arguments": {"total": true}}', "of type integer, got"),
        ('{"name": "submit_sum", "arguments": {}}', "expected argument 'total'"),
        ('{"name": "submit_sum"}', "expected a call with the key 'arguments'"),
        (f"[{', '.join([format_call(Call('submit_sum', {'total': 1}))] * 5)}]", "and 2 more"),
    ],
)
def test_what_is_no_call_of_the_tool_is_a_mistake(action: str, message: str) -> None:
    """Several sums in one action, the right one among them; a plain number that counts too."""
    env = LongHorizonEnv("sum-k2-t5", calls=True)
    question = env.reset(seed=3)[0].splitlines()[-1]
    observation, reward, terminated, _, info = env.step(action)
    assert message in observation and observation.splitlines()[-1] == question
    assert (reward, terminated, info["turn"], info["correct"]) == (0.0, False, 0, False)


def test_the_probes_measure_calls_as_they_measure_plain_answers() -> None:
    """A self-conditioning probe or an accuracy that only reads plain numbers."""
    measured = []
    for calls in (False, True):
        env = LongHorizonEnv("sum-k2-t10", calls=calls)
        env.reset(seed=6)
        prefix = inject_errors(env.solution, 1.0, np.random.default_rng(0))[:6]
        solution = env.solution

        def go_on(history: Any, solution: tuple[str, ...] = solution) -> str:
            return solution[len(history.actions)]  # right, but does not follow from the slips

        episodes = [Episode("a", 6, prefix=prefix), Episode("b", 6)]
        slipped, right = rollout(env, go_on, episodes=episodes)
        assert [step.source for step in slipped.transitions[5:7]] == ["injected", "policy"]
        measured.append(
            (
                turn_accuracy([slipped]),
                step_accuracy([slipped, right]),
                task_accuracy([slipped, right]),
                horizon_length(step_accuracy([slipped])),
                [step.info for step in slipped.transitions],
            )
        )
    assert measured[0] == measured[1]
    assert measured[0][0] == 3 / 4 and measured[0][2] == 1 / 2
