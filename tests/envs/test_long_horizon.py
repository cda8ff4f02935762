"""Guards LongHorizon: the sums, what counts as an answer, the measures, the injected slips."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.envs.long_horizon import (
    LongHorizonEnv,
    horizon_length,
    inject_errors,
    step_accuracy,
    task_accuracy,
    turn_accuracy,
)
from agentgym_si.errors import BadInput
from agentgym_si.types import Action, Failure, Source, Task, Trajectory, Transition


def sums_by_reading(observations: list[str]) -> list[int]:
    """Solve an episode as an agent would: from the observations only."""
    values = dict(re.findall(r"^(\w{5}): (-?\d+)$", observations[0], re.MULTILINE))
    total, totals = 0, []
    for observation in observations:
        named = re.search(r"turn \d+ of \d+: add (.*)$", observation)
        assert named is not None
        total += sum(int(values[key]) for key in named[1].split(", "))
        totals.append(total)
    return totals


def play(env: LongHorizonEnv, answers: list[str]) -> list[tuple[str, float, bool, bool, Any]]:
    return [env.step(answer) for answer in answers]


@pytest.mark.parametrize("task", ["sum-k1-t1", "sum-k4-t5", "sum-k8-t100"])
def test_the_observations_are_enough_to_solve_every_turn(task: str) -> None:
    """A key that is not in the dictionary, a sum that the page does not give, a wrong oracle."""
    env = LongHorizonEnv(task)
    observations = [env.reset(seed=4)[0]]
    while len(observations) < len(env.solution):
        observations.append(env.step(env.oracle())[0])
    assert env.oracle() == env.solution[-1]
    observation, reward, terminated, truncated, _ = env.step(env.oracle())
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert observation == f"all {len(env.solution)} turns are answered"
    assert list(map(int, env.solution)) == sums_by_reading(observations)
    with pytest.raises(NotImplementedError):
        env.oracle()


def test_the_dictionary_is_what_the_paper_describes() -> None:
    """A dictionary with fewer keys, double ones, or values out of range."""
    first = LongHorizonEnv("sum-k2-t5").reset(seed=1)[0]
    entries = re.findall(r"^([a-z]{5}): (-?\d+)$", first, re.MULTILINE)
    assert len(entries) == len(dict(entries)) == 100
    assert all(-99 <= int(value) <= 99 for _, value in entries)
    assert first.split("\n\n")[0].count("\n") == 99


def test_the_dictionary_is_a_function_of_the_seed_alone() -> None:
    """Tasks of different length that cannot be compared at the same seed."""
    env = LongHorizonEnv()
    heads = {
        (seed, task): env.reset(seed=seed, options={"task": task})[0].split("\n\n")[0]
        for seed in (0, 1)
        for task in ("sum-k1-t1", "sum-k8-t50")
    }
    assert heads[0, "sum-k1-t1"] == heads[0, "sum-k8-t50"]
    assert heads[0, "sum-k1-t1"] != heads[1, "sum-k1-t1"]


def test_the_size_of_the_dictionary_can_be_chosen() -> None:
    """A constructor argument that is ignored."""
    first = LongHorizonEnv("sum-k8-t1", keys=3).reset(seed=0)[0]
    assert len(first.split("\n\n")[0].splitlines()) == 3
    with pytest.raises(BadInput, match="expected keys from 1 to 100000, got 0"):
        LongHorizonEnv(keys=0)


def test_tasks_are_graded_and_limited_to_their_turns() -> None:
    """A long task that the default limit makes infeasible."""
    env = LongHorizonEnv()
    assert len(env.task_ids) == 24
    for task in env.task_ids:
        env.reset(seed=0, options={"task": task})
        keys, turns = map(int, re.findall(r"\d+", task))
        assert env.max_steps == len(env.solution) == turns
        assert env.current_task.data == {"keys_per_turn": keys, "turns": turns}


@pytest.mark.parametrize("wrong_turn", range(5))
def test_one_wrong_turn_loses_the_reward_but_not_the_episode(wrong_turn: int) -> None:
    """Reward for a right final sum after a slip that was mended, against the paper's measure."""
    env = LongHorizonEnv("sum-k2-t5")
    env.reset(seed=2)
    answers = list(env.solution)
    answers[wrong_turn] = str(int(answers[wrong_turn]) + 1)
    results = play(env, answers)
    assert [result[1] for result in results] == [0.0] * 5
    assert [result[2] for result in results] == [False] * 4 + [True]
    assert [result[4]["correct"] for result in results] == [turn != wrong_turn for turn in range(5)]
    # the turn after the slip does not follow from the answer given
    assert [result[4]["turn_correct"] for result in results] == [
        turn not in (wrong_turn, wrong_turn + 1) for turn in range(5)
    ]
    assert [result[4]["turn"] for result in results] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("{}", True),
        ("The sum is {}.", True),
        ("12 + 3 = 15, so {}", True),
        ("**{}**\n", True),
        ("x" * 1000 + " {}", True),
        ("0,1,{}", True),
        ("{} and then 7", False),
    ],
)
def test_the_last_integer_counts(text: str, counts: bool) -> None:
    """An agent that explains itself, judged by the first number it mentions."""
    env = LongHorizonEnv("sum-k1-t5")
    env.reset(seed=8)
    info = env.step(text.format(env.oracle()))[4]
    assert info["correct"] is counts
    assert info["turn"] == 1


@pytest.mark.parametrize(
    ("text", "value"), [("1,234", 1234), ("-1,234,567", -1234567), ("\u2212 5", 5), ("\u22125", -5)]
)
def test_numbers_as_people_write_them(text: str, value: int) -> None:
    """A thousands separator or a typographer's minus that loses the reward."""
    env = LongHorizonEnv("sum-k1-t5")
    env.reset(seed=0)
    env.step(text)
    assert env._answers == [value]


@pytest.mark.parametrize("text", ["", "no idea", "12.5", "9" * 19, "NaN"])
def test_no_integer_is_a_mistake_and_the_turn_is_asked_again(text: str) -> None:
    """A format error that shifts all later turns by one."""
    env = LongHorizonEnv("sum-k2-t5", max_steps=6)
    first = env.reset(seed=3)[0]
    observation, reward, terminated, truncated, info = env.step(text)
    assert observation.startswith("error: expected an integer of at most 18 digits, got ")
    assert observation.splitlines()[-1] == first.splitlines()[-1]
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert (info["turn"], info["correct"], info["turn_correct"]) == (0, False, False)
    assert play(env, list(env.solution))[-1][1:3] == (1.0, True)


def test_a_step_without_an_answer_does_not_repeat_the_last_judgement() -> None:
    """A megabyte of noise after a right answer, counted as another right answer."""
    env = LongHorizonEnv("sum-k1-t5")
    env.reset(seed=0)
    assert env.step(env.oracle())[4]["correct"]
    for action in ("x" * (1 << 21), "noop()", "none"):
        info = env.step(action)[4]
        assert (info["turn"], info["correct"], info["turn_correct"]) == (1, False, False)


def test_the_no_op_asks_again_until_the_limit() -> None:
    """A no-op that answers 0, or ends the episode."""
    env = LongHorizonEnv("sum-k1-t5")
    question = env.reset(seed=0)[0].splitlines()[-1]
    results = play(env, ["noop()"] * 5)
    assert {result[0] for result in results} == {question}
    assert [result[2:4] for result in results] == [(False, False)] * 4 + [(False, True)]


def test_candidates_lead_through_the_turn() -> None:
    """Candidates that never hold the right answer, or give it away by their place."""
    env = LongHorizonEnv("sum-k4-t25")
    env.reset(seed=1)
    places = set()
    for _ in range(25):
        candidates = list(env.candidates())
        assert candidates == sorted(set(candidates), key=int)
        places.add(candidates.index(env.oracle()))
        env.step(env.oracle())
    assert len(places) > 1
    assert env.candidates() == ()


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """A number form that makes `int` raise."""
    env = LongHorizonEnv("sum-k1-t5")
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(text)
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert info["turn"] in (0, 1)


# The measures -----------------------------------------------------------------------------


def episode(
    judged: list[tuple[int, bool, bool]],
    *,
    keys: int = 1,
    turns: int = 4,
    source: Source = "policy",
    failure: Failure | None = None,
) -> Trajectory:
    """Write an episode down by its infos: (turns answered, correct, turn correct)."""
    steps = tuple(
        Transition(
            "page",
            Action("0"),
            0.0,
            False,
            False,
            source,
            {"turn": turn, "correct": correct, "turn_correct": turn_correct},
        )
        for turn, correct, turn_correct in judged
    )
    task = Task("sum", data={"keys_per_turn": keys, "turns": turns})
    return Trajectory("id", "env", task, steps, "the end", 0, failure=failure)


RIGHT = episode([(1, True, True), (2, True, True), (3, True, True), (4, True, True)])
SLIPPED = episode([(1, True, True), (2, False, False), (3, False, True), (4, False, True)])
RETRIED = episode([(0, False, False), (1, True, True), (1, False, False), (2, True, True)])
BROKEN = episode([(1, False, False)], failure=Failure("crash", "dead"))


def test_turn_accuracy_counts_turns_by_the_answer_before() -> None:
    """A slip that is counted again at every later turn."""
    assert turn_accuracy([SLIPPED]) == 3 / 4
    assert turn_accuracy([RIGHT, SLIPPED]) == 7 / 8
    assert turn_accuracy([RETRIED]) == 2 / 4
    assert turn_accuracy([RIGHT, BROKEN]) == 1.0


def test_injected_turns_are_not_the_policys() -> None:
    """The injected slips of a probe, measured as the policy's own."""
    injected = episode([(1, False, False)] * 3, source="injected")
    assert turn_accuracy([RIGHT, injected]) == 1.0
    with pytest.raises(BadInput, match="expected at least one turn"):
        turn_accuracy([injected, BROKEN])


def test_step_accuracy_is_the_root_of_turn_accuracy() -> None:
    """Accuracy a turn of four keys compared with accuracy a turn of one."""
    assert step_accuracy([SLIPPED]) == 0.75
    slipped = episode([(1, False, False), *[(2, True, True)] * 15], keys=2)
    assert step_accuracy([slipped]) == pytest.approx(0.9682458365518543)  # sqrt(15/16)
    with pytest.raises(BadInput, match=re.escape("one number of keys a turn, got [1, 2]")):
        step_accuracy([SLIPPED, slipped])


def test_task_accuracy_needs_every_turn_up_to_the_one_asked() -> None:
    """An episode that was cut off early counted as right so far and so as right."""
    cut = episode([(1, True, True), (2, True, True)])
    assert task_accuracy([RIGHT, SLIPPED, cut]) == 1 / 3
    assert task_accuracy([RIGHT, SLIPPED, cut], turns=2) == 2 / 3
    assert task_accuracy([RIGHT, SLIPPED, cut], turns=1) == 1.0
    assert task_accuracy([RETRIED], turns=2) == 1.0
    assert task_accuracy([RIGHT, BROKEN]) == 1.0
    with pytest.raises(BadInput, match="expected at least one episode"):
        task_accuracy([BROKEN])


@pytest.mark.parametrize(
    ("accuracy", "success", "steps"),
    [
        (0.9, 0.5, 6.578813478960585),
        (0.999, 0.5, 692.8005491785762),
        (0.5, 0.25, 2.0),
        (0.5, 0.5, 1.0),
        (1.0, 0.5, math.inf),
        (0.0, 0.5, 0.0),
    ],
)
def test_horizon_length_is_the_papers(accuracy: float, success: float, steps: float) -> None:
    """The ratio of the two logarithms upside down."""
    assert horizon_length(accuracy, success) == pytest.approx(steps)


@pytest.mark.parametrize(("accuracy", "success"), [(1.1, 0.5), (-0.1, 0.5), (0.5, 0.0), (0.5, 1.0)])
def test_horizon_length_of_no_probability_is_refused(accuracy: float, success: float) -> None:
    """A negative horizon out of an accuracy in per cent."""
    with pytest.raises(BadInput, match="expected step_accuracy in"):
        horizon_length(accuracy, success)


# The slips --------------------------------------------------------------------------------


def test_slips_are_consistent_afterwards_and_as_many_as_asked() -> None:
    """A slip that the next turn mends, which the probe would measure as two slips."""
    solution = [str(total) for total in np.cumsum([7] * 2000)]
    for rate in (0.0, 0.25, 1.0):
        given_answers = [0, *map(int, inject_errors(solution, rate, np.random.default_rng(3)))]
        slips = [now - before - 7 for before, now in pairwise(given_answers)]
        share = sum(slip != 0 for slip in slips) / len(slips)
        assert share == pytest.approx(rate, abs=0.03)
        assert all(abs(slip) <= 99 for slip in slips)
        assert rate == 0.0 or {slip > 0 for slip in slips if slip} == {True, False}


def test_rate_zero_is_the_solution() -> None:
    """A control arm of the probe that has slips."""
    solution = ("5", "-3", "12")
    assert inject_errors(solution, 0.0, np.random.default_rng(0)) == solution


def test_slips_at_a_lower_rate_are_some_of_those_at_a_higher_one() -> None:
    """Rates that cannot be compared because every rate draws other slips."""

    def slips(rate: float) -> dict[int, int]:
        answers = [0, *map(int, inject_errors(["0"] * 200, rate, np.random.default_rng(1)))]
        return {turn: answers[turn + 1] - answers[turn] for turn in range(200)}

    low, high = slips(0.2), slips(0.6)
    assert all(high[turn] == slip for turn, slip in low.items() if slip)
    assert sum(map(bool, low.values())) < sum(map(bool, high.values()))


def test_an_injected_history_plays_and_the_policy_goes_on_from_it() -> None:
    """Injected answers that the environment judges by the true sum only."""
    env = LongHorizonEnv("sum-k2-t10")
    env.reset(seed=6)
    for answer in inject_errors(env.solution, 1.0, np.random.default_rng(0))[:9]:
        info = env.step(answer)[4]
        assert not info["turn_correct"]
    own = env._answers[-1] + int(env.solution[9]) - int(env.solution[8])
    _, reward, terminated, _, info = env.step(str(own))
    assert (reward, terminated) == (0.0, True)
    assert (info["correct"], info["turn_correct"]) == (False, True)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    """A rate in per cent, taken for always."""
    with pytest.raises(BadInput, match="expected a rate in"):
        inject_errors(["1"], rate, np.random.default_rng(0))
