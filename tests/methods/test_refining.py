"""Refinement as users call it: one wrapper of a language model in every family of environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from agentgym_si.types import Trajectory

pytestmark = pytest.mark.train

ORDER = '{"name": "get_product", "arguments": {"item": "oven"}}'
AREA = '{"name": "shape.area", "arguments": {"width": 4, "height": 5}}'
CLICK = "click('1') on\n[1] button"
PROGRAM = "def f(x): return x"

REFINE = "refine,ask=look again"
TOLD = f"{REFINE},feedback=true"

ENDS = ("agreed", "cycle")
"""What ends rounds without the environment."""

both = pytest.mark.parametrize("spec", [REFINE, TOLD])


def check_refined(played: list[Trajectory], said: str, *stopped: str) -> None:
    """Every answer ends at what the model says when asked again, labelled, all calls counted.

    Args:
        played: two episodes.
        said: what the model was taught to say; a draft may be another where the world's text is
            unlike what it was taught with, and is then revised.
        stopped: what may have ended the rounds.
    """
    for trajectory in played:
        assert "+refine-" in trajectory.policy_version
        assert trajectory.transitions
        for step in trajectory.transitions:
            info = step.action.info["refinement"]
            assert step.action.text == said
            assert info["stopped"] in stopped
            assert step.action.info["calls"] == info["rounds"] + 1
            assert (step.source == "refined") == info["changed"] == ("draft" in info)
            assert info["rounds"] >= (0 if info["stopped"] == "accepted" else 1)
            sampled = len(step.action.token_ids)
            assert sampled > 0
            assert (step.action.info["tokens"] > sampled) == (info["rounds"] > 0)
        calls = [step.action.info["calls"] for step in trajectory.transitions]
        assert trajectory.costs.calls == sum(calls)


def ends(spec: str) -> tuple[str, ...]:
    return ("accepted",) if spec == TOLD else ENDS


@both
def test_on_tools(parrot: Any, play: Any, tmp_path: Path, spec: str) -> None:
    """A wrapper that one family of environments needs a change for."""
    more = ("--temperature", "0", "--task", "orders-l1-0000", "--max-steps", "2")
    played = play("agentgym_si/Tools-v0", f"{spec}:{parrot(ORDER)}", tmp_path / "run", *more)
    check_refined(played, ORDER, *ends(spec))


@both
def test_on_bfcl_data(parrot: Any, play: Any, own_bfcl: str, tmp_path: Path, spec: str) -> None:
    """A call that does not fit the functions of the question before it."""
    more = ("--temperature", "0", "--task", "simple_python_0")
    played = play(own_bfcl, f"{spec}:{parrot(AREA)}", tmp_path / "run", *more)
    check_refined(played, AREA, *ends(spec))


@pytest.mark.browser
@both
def test_on_miniwob(parrot: Any, play: Any, tmp_path: Path, spec: str) -> None:
    """A page on which nothing can be asked twice."""
    more = ("--temperature", "0", "--task", "click-test-2", "--max-steps", "2")
    played = play("agentgym_si/MiniWoB-v0", f"{spec}:{parrot(CLICK)}", tmp_path / "run", *more)
    check_refined(played, CLICK, *ends(spec))


def test_on_code(parrot: Any, play: Any, tmp_path: Path) -> None:
    """Public examples that a sandbox never runs; a program that fails them and is said again."""
    policy = f"{TOLD}:{parrot(PROGRAM)}"
    played = play("agentgym_si/Code-v0", policy, tmp_path / "run", "--temperature", "0", boxes=True)
    check_refined(played, PROGRAM, *ENDS)
