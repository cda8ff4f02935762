"""Guards examples/: what a user writes in a file of their own works as it is."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

from agentgym_si.audit import audit
from agentgym_si.policies.base import FunctionPolicy
from agentgym_si.rollouts import rollout
from agentgym_si.testing import check_env, check_policy

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def in_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(EXAMPLES)


def test_my_env_keeps_the_contract_and_is_sound() -> None:
    """An example that teaches an environment which breaks the rules."""
    check_env("my_env:my/Guess-v0", processes=True)
    report = audit("my_env:my/Guess-v0")
    assert [row.verdict for row in report.tasks] == ["ok"]


def test_my_policy_keeps_the_contract_and_solves_my_env() -> None:
    """An example that teaches a policy which does not play."""
    policy = importlib.import_module("my_policy").make()
    check_policy(FunctionPolicy(policy))
    env = gym.make("my_env:my/Guess-v0")
    trajectories = rollout(env, policy, episodes=20, seed=0)
    assert all(trajectory.solved for trajectory in trajectories)
    assert max(len(trajectory.transitions) for trajectory in trajectories) <= 4


def test_examples_work_from_the_command_line(tmp_path: Path) -> None:
    """A user's module that only the tests can import."""
    command = [Path(sys.executable).with_name("agentgym-si"), "run", "my_env:my/Guess-v0"]
    done = subprocess.run(
        [
            *command,
            "--policy",
            "my_policy:make",
            "--episodes",
            "3",
            "--json",
            "--out",
            tmp_path / "run",
        ],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"] == 1.0


def test_contributing_shows_the_examples_as_they_are() -> None:
    """Instructions that stopped working when the example was changed."""
    page = (EXAMPLES.parent / "CONTRIBUTING.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 3
    for code, example in zip(shown, ("my_env.py", "my_policy.py", "my_method.py"), strict=True):
        assert (EXAMPLES / example).read_text().endswith(code)


def test_my_method_keeps_the_shortest_solved_episode() -> None:
    """An example whose rows are not what it says."""
    env = gym.make("my_env:my/Guess-v0")
    once = rollout(env, importlib.import_module("my_policy").make(), episodes=5, seed=0)
    wandering = rollout(env, lambda history: str(len(history.actions) + 1), episodes=5, seed=0)
    context: Any = SimpleNamespace(rows=lambda trajectory, weight: [(trajectory, weight)])
    method = importlib.import_module("my_method").Fastest()
    shortest = [
        min(pair, key=lambda trajectory: len(trajectory.transitions))
        for pair in zip(wandering, once, strict=True)
    ]
    assert method.curate([*wandering, *once], context) == [(t, 1.0) for t in shortest]


@pytest.mark.train
def test_my_method_improves_in_my_env_from_the_command_line(tmp_path: Path) -> None:
    """A user's method and environment that only the tests can import."""
    command = [Path(sys.executable).with_name("agentgym-si"), "improve", "my_method.yaml"]
    done = subprocess.run(
        [*command, "--json", "--out", tmp_path / "run"],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["method"] == "my_method:Fastest" and report["iterations"][1]["collected"] == 40
