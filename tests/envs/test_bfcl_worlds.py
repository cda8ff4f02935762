"""Guards dialogues of several turns: the benchmark's own classes, compared after each turn."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from agentgym_si.envs.bfcl_syntax import WrittenCall, read_calls
from agentgym_si.envs.bfcl_worlds import TurnJudge, World, judge_turns, load_class
from agentgym_si.errors import BadInput, MissingDependency

CLASSES = ["GorillaFileSystem", "MathAPI"]
FILES = {"a.txt": {"type": "file", "content": "tea"}, "box": {"type": "directory", "contents": {}}}
CONFIG = {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": FILES}}}}
ANSWERS = [["mv('a.txt', 'box')", "add(2, 3)"], [], ["cd('box')", "cat('a.txt')"]]
RIGHT = [[[text] for text in turn] for turn in ANSWERS]

needs_classes = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bfcl_eval", "mpmath")),
    reason="not installed: bfcl-eval, mpmath",
)


def call(world: World, text: str) -> str:
    (written,) = read_calls(text)
    return world.call(written)


@needs_classes
def test_calls_are_carried_out_and_what_fails_is_told() -> None:
    """An exception of a simulated tool that ends the episode."""
    world = World(CLASSES, CONFIG)
    assert call(world, "ls()") == '{"current_directory_content": ["a.txt", "box"]}'
    assert call(world, "add(b=3, a=2)") == '{"result": 5}'
    assert "not defined" in call(world, "rm_all()")
    assert "unexpected keyword argument 'x'" in call(world, "ls(x=1)")
    assert call(world, "_load_scenario({})").startswith("Error during execution")
    assert world.parameters["mv"] == ["source", "destination"]


@needs_classes
@pytest.mark.parametrize(
    "text",
    [
        "power(9, 9000000000000000)",
        "power(2, exponent=1e300)",
        "square_root(2, 10000000000)",
        "round_number(2, -1000000000)",
    ],
)
def test_a_calculation_without_end_is_refused(text: str) -> None:
    """An agent that stops a run with one power."""
    assert "up to 10000" in call(World(CLASSES, CONFIG), text)


@needs_classes
def test_two_worlds_of_one_configuration_do_not_touch() -> None:
    """A configuration that an episode changes for the next."""
    first, second = World(CLASSES, CONFIG), World(CLASSES, CONFIG)
    assert first.difference(second) == ""
    call(first, "mv('a.txt', 'box')")
    assert first.difference(second) == "GorillaFileSystem.root"
    assert World(CLASSES, CONFIG).difference(second) == ""
    loop = World(CLASSES, CONFIG)
    call(loop, "mv('box', 'box')")
    assert isinstance(loop.difference(second), str)


@needs_classes
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({0: [["add(2, 3)", "ls()", "nothing(1)"], ["mv('a.txt', 'box')"]]}, ""),
        ({1: [["ls()"]]}, ""),
        ({0: []}, "turn 1: expected calls, got none"),
        ({0: [["add(2, 3)"]]}, "turn 1: GorillaFileSystem.root differs from the reference's"),
        ({0: [["mv('a.txt', 'box')", "add(2, 4)"]]}, "turn 1: expected the result '{\"result"),
        ({1: [["mkdir('x')"]]}, "turn 3: GorillaFileSystem.root differs from the reference's"),
        ({2: [["cd('box')", "cat('a.txt"]]}, "turn 3: expected the result"),
        ({2: [["cd('box')"], ["cat('a.txt')"], ["cat('a.txt')"]]}, ""),
    ],
)  # fmt: skip
def test_turns_are_judged_by_state_and_results(changes: dict[int, Any], reason: str) -> None:
    """A dialogue that is judged by its path, or only at its end."""
    turns = [changes.get(number, turn) for number, turn in enumerate(RIGHT)]
    judgement = judge_turns(turns, TurnJudge(CLASSES, CONFIG, ANSWERS), 3)
    assert judgement.valid is not bool(reason)
    assert judgement.reason.startswith(reason)


@needs_classes
def test_a_result_seen_in_an_earlier_turn_counts() -> None:
    """An agent that must ask twice for what it knows."""
    answers = [["ls()", "add(1, 1)"], ["add(1, 1)"], ["add(1, 1)", "add(1, 1)", "add(1, 1)"]]
    judge = TurnJudge(CLASSES, CONFIG, answers)
    for text in ("ls()", "add(1, 1)"):
        judge.call(read_calls(text)[0])
    assert judge.end_turn().valid
    judge.call(read_calls("ls()")[0])
    assert judge.end_turn().valid
    judge.call(WrittenCall("add", (1, 1), {}))
    assert not judge.end_turn().valid  # three are wanted, two were seen


@needs_classes
def test_a_dialogue_that_was_cut_off_is_wrong() -> None:
    """A dialogue without its last turn, right so far."""
    judgement = judge_turns(RIGHT[:2], TurnJudge(CLASSES, CONFIG, ANSWERS), 3)
    assert judgement == (False, "expected 3 turns, got 2")


@needs_classes
def test_the_long_context_is_longer() -> None:
    """A flag that is not passed on."""
    short, long = (call(World(CLASSES, CONFIG, flag), "cat('a.txt')") for flag in (False, True))
    assert len(long) > 10 * len(short)


def test_what_is_missing_is_said() -> None:
    """A traceback of an import as the answer to a typing error."""
    with pytest.raises(BadInput, match=r"expected a class of Gorilla.* got 'FileSystem'"):
        load_class("FileSystem")
    if importlib.util.find_spec("bfcl_eval") is None:
        with pytest.raises(MissingDependency, match="pip install --no-deps bfcl-eval"):
            load_class("MathAPI")
