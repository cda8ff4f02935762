"""Guards the bundled problems: solvable, told apart from constants, and split for good."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from agentgym_si.envs.coding.bundled import (
    DIFFERENT,
    FAMILIES,
    HELD_OUT,
    HIDDEN,
    PUBLIC,
    bundled_tasks,
    draw_problem,
    is_held_out,
)
from agentgym_si.envs.coding.problems import Problem

TASKS = [task.id for task in bundled_tasks()]


def drawn(task: str, seeds: int = 25) -> list[Problem]:
    return [draw_problem(task, np.random.default_rng(seed)) for seed in range(seeds)]


def test_there_are_families_enough() -> None:
    """A set so small that a policy learns it by heart."""
    assert len(FAMILIES) >= 12
    assert len(TASKS) == 2 * len(FAMILIES)


@pytest.mark.parametrize("task", TASKS)
def test_the_reference_passes_and_a_constant_does_not(task: str) -> None:
    """A hidden test that is wrong, or tests that an answer passes without looking at its input."""
    for problem in drawn(task):
        namespace: dict[str, Any] = {}
        exec(problem.reference, namespace)
        exec(problem.tests, namespace)
        tests = problem.tests.splitlines()
        assert len(tests) == len(set(tests)) == PUBLIC + HIDDEN
        wanted = [line.partition(" == ")[2] for line in tests]
        assert max(map(wanted.count, wanted)) <= len(wanted) - DIFFERENT
        for source, want in problem.examples:
            assert repr(eval(source, namespace)) == want


@pytest.mark.parametrize("task", TASKS)
def test_a_problem_is_a_function_of_its_seed(task: str) -> None:
    """Chance that is not drawn from the generator that is passed in."""
    assert drawn(task, 5) == drawn(task, 5)
    assert len({problem.prompt for problem in drawn(task)}) > 5


@pytest.mark.parametrize("family", FAMILIES)
def test_no_sentence_is_in_both_splits(family: str) -> None:
    """A test problem that was trained on."""
    sentences = [
        {problem.prompt.splitlines()[0] for problem in drawn(task)}
        for task in (family, family + HELD_OUT)
    ]
    assert not sentences[0] & sentences[1]
    assert not any(map(is_held_out, sentences[0])) and all(map(is_held_out, sentences[1]))


def test_the_easiest_prompts_are_short() -> None:
    """A prompt that a tiny model cannot hold; its tokenizer cuts about where this does."""
    for family in ("add", "multiply", "divide", "compare"):
        for problem in drawn(family):
            assert len(re.findall(r"[^\W\d]+|\d|[^\w\s]+|\n", problem.prompt)) < 60
