"""Guards examples/: what a user writes in a file of their own works as it is."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

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
