"""Guards what is selected, when the rounds end, when the alarm sounds, and the revision rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_si.adapt.model_aware import (
    Tried,
    chance,
    contradicted_share,
    drifts,
    has_grown,
    refinement_row,
    select,
)
from agentgym_si.adapt.refine import ASK, revision
from agentgym_si.errors import BadInput
from agentgym_si.policies.base import History
from agentgym_si.types import Action


def tried(passes: int, answers: str = "abcd") -> Tried:
    return Tried(f"p{passes}", tuple(answers), tuple(place < passes for place in range(4)))


def test_selection_keeps_what_is_solved_often_enough_and_not_too_often() -> None:
    """Items beyond the model among those it learns from, or a bound that is off by one."""
    pool = [tried(passes) for passes in range(5)]
    assert [one.passes for one in select(pool)] == [1, 2, 3, 4]
    assert [one.passes for one in select(pool, 2, 3)] == [2, 3]
    assert [one.passes for one in select(pool, 4)] == [4]


def test_the_majority_contradicts_a_label_that_it_does_not_fit() -> None:
    """An alarm that looks at one sample, or at the share of samples."""
    lone = Tried("lone", ("a", "b", "b", "c"), (True, False, False, False))
    often = Tried("often", ("a", "b", "a", "c"), (True, False, True, False))
    tie = Tried("tie", ("a", "b", "b", "a"), (True, False, False, True))
    assert [one.contradicted for one in (lone, often, tie)] == [True, False, False]
    assert contradicted_share([lone, often, tie]) == pytest.approx(1 / 3)
    assert contradicted_share([]) == 0.0


def test_the_alarm_is_a_share_above_all_earlier_ones() -> None:
    """An alarm in the first round, or none after a dip."""
    assert not drifts([0.3])
    assert not drifts([0.3, 0.2])
    assert not drifts([0.1, 0.3, 0.2])
    assert drifts([0.1, 0.05, 0.11])
    assert not drifts([0.1, 0.11], tolerance=0.02)


def test_a_rise_of_a_few_labels_is_chance() -> None:
    """An alarm over right labels, of which one more or less was contradicted."""
    shares = [4 / 14, 6 / 16, 11 / 21]
    assert drifts(shares)
    assert not drifts(shares, chance(21))
    assert drifts(shares, chance(2100))
    assert chance(400) == pytest.approx(0.05)
    assert chance(0) == 1.0


def test_rounds_end_when_the_selection_stops_growing() -> None:
    """A run that never ends, or that ends at its first round."""
    assert has_grown(10, 0, 100)
    assert not has_grown(10, 10, 100)
    assert not has_grown(12, 10, 100, epsilon=0.02)
    assert has_grown(13, 10, 100, epsilon=0.02)


def test_verdicts_without_answers_are_refused() -> None:
    """A pass count over other samples than those that were drawn."""
    with pytest.raises(BadInput, match="expected at least one answer"):
        Tried("x", ("a",), (True, False))
    with pytest.raises(BadInput, match="expected at least one answer"):
        Tried("x", (), ())


@pytest.mark.train
def test_a_revision_row_is_what_refining_asks(tmp_path: Path) -> None:
    """Training on another prompt than the one that is played, or on the draft itself."""
    from agentgym_si.policies.hf import TransformersPolicy
    from agentgym_si.policies.tiny import build_tiny

    folder = build_tiny(tmp_path / "m", ["red green", ASK] * 9, vocabulary=300, hidden=16, heads=2)
    tokens = TransformersPolicy(folder, device="cpu").tokens
    history = History(("red",))
    draft = Action("gren", tokens.prompt(history), tokens.answer("gren"))
    row = refinement_row(tokens, history, draft, "green", origin="item")
    assert row.context == tokens.prompt(revision(history, draft))
    assert (
        tokens.text(row.context) == f"<|user|>red<|assistant|>gren<|end|><|user|>{ASK}<|assistant|>"
    )
    assert tokens.text(row.completion) == "green"
    assert set(row.weights) == {1.0}
    assert (row.source, row.origin) == ("oracle", "item")
