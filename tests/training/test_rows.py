"""Trajectories as rows: faults guarded are trained observations and ids that were never sampled."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("transformers")

from agentgym_si.errors import BadInput
from agentgym_si.policies.base import History
from agentgym_si.policies.tiny import train_tokenizer
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.training.rows import broken_steps, check_ids, to_rows
from agentgym_si.types import Action, Failure, Source, Task, Trajectory, Transition, Weighted

pytestmark = pytest.mark.train

TOKENS = ChatTokens(train_tokenizer(['[1] button "ok"', "click('1')"] * 9, 300), name="tiny")
ODD = (70, 71, 72, TOKENS.end[-1])
"""Ids that no tokeniser would make of their text."""


def step(
    observation: str, action: Action | str, source: Source = "policy", reward: float = 0.0
) -> Transition:
    action = action if isinstance(action, Action) else Action(action)
    return Transition(observation, action, reward, False, False, source)


def episode(*steps: Transition) -> Trajectory:
    return Trajectory("t1", "env", Task("x"), steps, "end", seed=0, instructions="do")


def sampled(observations: list[str], answers: list[tuple[int, ...]]) -> Trajectory:
    """Return an episode whose prompts grow as a policy's do."""
    actions: list[Action] = []
    for index, ids in enumerate(answers):
        history = History(tuple(observations[: index + 1]), tuple(actions), instructions="do")
        logprobs = tuple(-0.5 for _ in ids)
        actions.append(Action(TOKENS.text(ids), TOKENS.prompt(history), ids, logprobs))
    return episode(*(step(o, a) for o, a in zip(observations, actions, strict=True)))


def learned(row: Weighted) -> list[int]:
    pairs = zip(row.completion, row.weights, strict=True)
    return [token for token, weight in pairs if weight]


def test_steps_share_a_row_and_only_answers_are_learned() -> None:
    trajectory = sampled(["one", "two"], [ODD, TOKENS.answer("click")])
    (row,) = to_rows(trajectory, TOKENS)
    first, second = (t.action for t in trajectory.transitions)
    assert row.context == first.prompt_ids
    assert row.context + row.completion == second.prompt_ids + second.token_ids
    assert learned(row) == [*first.token_ids, *second.token_ids]
    assert "two" in TOKENS.tokenizer.decode(row.completion)
    assert [lp for lp, w in zip(row.logprobs, row.weights, strict=True) if w] == [-0.5] * len(
        learned(row)
    )
    assert {lp for lp, w in zip(row.logprobs, row.weights, strict=True) if not w} == {0.0}
    assert (row.origin, row.world, row.source) == ("t1", "real", "policy")


def test_a_broken_prefix_starts_a_new_row() -> None:
    """A template that rewrites earlier turns must not have its answers glued to other contexts."""
    trajectory = sampled(["one", "two"], [ODD, ODD])
    first, second = trajectory.transitions
    ids = (second.action.prompt_ids[0], 99, *second.action.prompt_ids[2:])
    rewritten = replace(second, action=replace(second.action, prompt_ids=ids))
    rows = to_rows(replace(trajectory, transitions=(first, rewritten)), TOKENS)
    assert [row.context for row in rows] == [first.action.prompt_ids, ids]
    assert [row.completion for row in rows] == [ODD, ODD]


def test_text_actions_are_learned_as_a_policy_would_write_them() -> None:
    trajectory = episode(step("one", "click('1')", "oracle"), step("two", "noop()", "oracle"))
    (row,) = to_rows(trajectory, TOKENS)
    assert row.context == TOKENS.prompt(History(("one",), instructions="do"))
    assert learned(row) == [*TOKENS.answer("click('1')"), *TOKENS.answer("noop()")]
    assert row.source == "oracle" and row.logprobs == ()


def test_injected_and_empty_actions_are_read_not_learned() -> None:
    trajectory = episode(
        step("one", "wrong", "injected"), step("two", ""), step("three", "right", "oracle")
    )
    (row,) = to_rows(trajectory, TOKENS)
    assert learned(row) == list(TOKENS.answer("right"))
    assert "wrong" in TOKENS.tokenizer.decode(row.context + row.completion)


def test_another_source_starts_a_new_row() -> None:
    """Provenance is a row's: an oracle's step must not count as the policy's."""
    trajectory = episode(step("one", "a", "policy"), step("two", "b", "hint"))
    rows = to_rows(trajectory, TOKENS)
    assert [row.source for row in rows] == ["policy", "hint"]
    assert [learned(row) for row in rows] == [list(TOKENS.answer("a")), list(TOKENS.answer("b"))]


def test_weights_multiply_and_zero_steps_teach_nothing() -> None:
    trajectory = sampled(["one", "two", "three"], [ODD, ODD, ODD])
    (row,) = to_rows(trajectory, TOKENS, weight=2.0, per_step=[0.5, 0.0, -1.0])
    assert [w for w in row.weights if w] == [1.0] * len(ODD) + [-2.0] * len(ODD)
    assert to_rows(trajectory, TOKENS, weight=0.0) == []


def test_a_failed_box_teaches_nothing() -> None:
    trajectory = replace(sampled(["one"], [ODD]), failure=Failure("browser", "died"))
    assert to_rows(trajectory, TOKENS) == []


def test_per_step_of_another_length_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"per_step of shape \(1,\), got \(2,\)"):
        to_rows(sampled(["one"], [ODD]), TOKENS, per_step=[1.0, 1.0])


def test_a_broken_step_is_told_with_its_message() -> None:
    trajectory = sampled(["one", "two", "three"], [TOKENS.answer("click")] * 3)
    assert broken_steps(trajectory, TOKENS) == []
    first, second, third = trajectory.transitions
    place = len(first.action.prompt_ids)  # where the first answer begins
    ids = second.action.prompt_ids
    changed = (*ids[:place], 99, *ids[place + 1 :])
    second = replace(second, action=replace(second.action, prompt_ids=changed))
    (sentence,) = broken_steps(replace(trajectory, transitions=(first, second)), TOKENS)
    assert sentence.startswith("step 1 is no continuation of step 0")
    assert sentence.endswith(f"at token {place} of the prompt, in message 2 (assistant)")
    whole = replace(trajectory, transitions=(first, second, third))
    assert len(broken_steps(whole, TOKENS)) == 2


def test_what_is_taught_is_what_was_sampled() -> None:
    """Ids that were tokenised again somewhere between sampling and training."""
    trajectory = sampled(["one", "two"], [ODD, TOKENS.answer("click")])
    rows = to_rows(trajectory, TOKENS)
    assert check_ids(trajectory, rows) == len(ODD) + len(TOKENS.answer("click"))
    (row,) = rows
    for place, weight in enumerate(row.weights):
        drifted = (*row.completion[:place], 99, *row.completion[place + 1 :])
        with pytest.raises(BadInput, match=r"row 0 of t1 teaches id \d+ at token \d+, which was"):
            check_ids(trajectory, [replace(row, completion=drifted)])
        if not weight:
            taught = tuple(1.0 if i == place else w for i, w in enumerate(row.weights))
            with pytest.raises(BadInput, match="was not sampled there"):
                check_ids(trajectory, [replace(row, weights=taught)])
