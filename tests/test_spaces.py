"""Guards `FreeText` as a Gymnasium space."""

from __future__ import annotations

import pickle

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.spaces import FreeText


@given(st.text(st.characters(), max_size=50))
def test_any_text_up_to_the_length_is_a_member(text: str) -> None:
    """Gymnasium's own Text space, which refuses blanks and punctuation."""
    assert text in FreeText(50)
    assert text + "x" * 51 not in FreeText(50)


@pytest.mark.parametrize("value", [None, 3, b"text", ["text"]])
def test_what_is_no_text_is_no_member(value: object) -> None:
    """Bytes that pass the space and break the first string operation."""
    assert value not in FreeText()


def test_samples_follow_the_seed_and_are_members() -> None:
    """Random play that cannot be repeated."""
    space = FreeText(examples=("a", "b", "c"))
    draws = []
    for _ in range(2):
        space.seed(5)
        draws.append([space.sample() for _ in range(50)])
    assert draws[0] == draws[1]
    assert set(draws[0]) == {"a", "b", "c"}
    space.seed(6)
    assert [space.sample() for _ in range(50)] != draws[0]


def test_equality_is_by_length_and_examples() -> None:
    """Vector environments that refuse two equal environments, or accept two different ones."""
    assert FreeText(5, examples=("a",)) == FreeText(5, examples=("a",), seed=3)
    assert FreeText(5, examples=("a",)) != FreeText(6, examples=("a",))
    assert FreeText(5, examples=("a",)) != FreeText(5, examples=("b",))
    assert FreeText(5, examples=("a",)) != gym.spaces.Text(5)


def test_a_pickled_space_goes_on_with_its_samples() -> None:
    """A space that worker processes cannot be sent."""
    space = FreeText(seed=1)
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert [copy.sample() for _ in range(9)] == [space.sample() for _ in range(9)]


def test_json_form_is_the_text_itself() -> None:
    """Spaces in recorded data that come back as lists of characters."""
    space = FreeText()
    assert space.from_jsonable(space.to_jsonable(["a b", ""])) == ["a b", ""]
    assert not space.is_np_flattenable
    assert repr(FreeText(7)) == "FreeText(7)"


@pytest.mark.parametrize(("length", "examples"), [(0, ("",)), (2, ("abc",)), (2, ())])
def test_impossible_spaces_are_refused(length: int, examples: tuple[str, ...]) -> None:
    """A space whose samples are outside itself."""
    with pytest.raises(ValueError, match="expected"):
        FreeText(length, examples=examples)


def test_masks_are_refused() -> None:
    """A mask that is silently ignored."""
    with pytest.raises(ValueError, match="neither mask nor probability"):
        FreeText().sample(mask=0)  # type: ignore[arg-type]
