"""Guards `check_policy` itself: every rule must fail on a policy that breaks it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from agentgym_si.policies.base import FunctionPolicy, History, RandomPolicy
from agentgym_si.testing import check_policy
from agentgym_si.types import Action


class Broken:
    """A policy that keeps the contract; subclasses break one rule each."""

    version = "broken"
    needs: frozenset[Any] = frozenset()

    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        return [[self.answer(history)] * n for history in histories]

    def answer(self, history: History) -> Action:
        return Action(f"{history.observation} {history.rng().integers(1000)}")


class HasNoVersion(Broken):
    version = ""


class NeedsGold(Broken):
    needs = frozenset({"gold"})


class IgnoresN(Broken):
    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        return [[self.answer(history)] for history in histories]


class AnswersOneOnly(Broken):
    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        return super().act(histories[:1], n=n)


class AnswersNobody(Broken):
    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        return super().act(histories, n=n) or [[]]


class ReturnsText(Broken):
    def answer(self, history: History) -> Action:
        return "noop()"  # type: ignore[return-value]


class ReturnsInfinity(Broken):
    def answer(self, history: History) -> Action:
        return Action("a", (1,), (2,), (-math.inf,))


class CountsCalls(Broken):
    calls = 0

    def answer(self, history: History) -> Action:
        self.calls += 1
        return Action(str(self.calls))


class SharesOneGenerator(Broken):
    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        rng = np.random.default_rng(histories[0].seed if histories else 0)
        return [[Action(str(rng.integers(1000)))] * n for _ in histories]


class AnswersByPlace(Broken):
    def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
        middle = len(histories) == 3
        return [
            [Action(f"first {middle and number == 0 and history.actions != ()}")] * n
            for number, history in enumerate(histories)
        ]


class WritesIntoHistory(Broken):
    needs = frozenset({"candidates"})

    def answer(self, history: History) -> Action:
        history.given["candidates"].append("more")
        return Action("a")


def test_a_good_policy_passes() -> None:
    """A contract that nothing can keep."""
    check_policy(Broken())
    check_policy(RandomPolicy(), [History(("page",), given={"candidates": ["a", "b"]})])


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (HasNoVersion, "version: expected a text, got ''"),
        (NeedsGold, "needs: expected oracle, candidates, noop"),
        (IgnoresN, "batch: expected 3 lists of 3 actions, got [1, 1, 1]"),
        (AnswersOneOnly, "batch: expected 3 lists of 1 actions, got [1]"),
        (AnswersNobody, "batch: expected no answers to no histories"),
        (ReturnsText, "actions: expected an Action, got 'noop()'"),
        (ReturnsInfinity, "actions: expected a finite number, got -inf at $.logprobs[0]"),
        (CountsCalls, "seeds: the same histories and seeds gave other actions"),
        (SharesOneGenerator, "batch: a history alone gave another action"),
        (AnswersByPlace, "batch: the order of the histories changed the actions"),
        (WritesIntoHistory, "histories: acting changed a history"),
        (object, "protocol: expected version, needs and act"),
    ],
)
def test_a_broken_policy_fails_by_the_rules_name(broken: type, rule: str) -> None:
    """A policy that plays well alone and wrongly in a batch, passed."""
    with pytest.raises(AssertionError, match=f"^{re.escape(rule)}"):
        check_policy(broken())


def test_functions_go_in_wrapped() -> None:
    """A plain function refused without a word on what to do."""
    check_policy(FunctionPolicy(lambda history: history.observation))
