"""A tiny model that says what it is told to, and episodes played from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentgym_si.store import read_trajectories
from agentgym_si.types import Action, Trajectory, Weighted

BFCL = Path(__file__).parents[1] / "data" / "bfcl"
FUNCTION = '{"name": "shape.area", "parameters": {"width": {}, "height": {}}}'
AGAIN = "look again"
"""What a model that cannot read is asked after its draft."""


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function to the folder of a model that answers everything with one text."""
    import torch

    from agentgym_si.adapt.neighbours import SIMILAR
    from agentgym_si.adapt.refine import TOLD, revision
    from agentgym_si.policies.base import History
    from agentgym_si.policies.batches import as_example, pad_batch, taught_logprobs
    from agentgym_si.policies.hf import TransformersPolicy
    from agentgym_si.policies.tiny import build_tiny

    made: dict[str, Path] = {}

    def make(said: str) -> Path:
        if said in made:
            return made[said]
        folder = tmp_path_factory.mktemp("parrot")
        goals = [
            "What does one oven cost?",
            'Goal: click\n[1] button "ONE"',
            "Write a program",
            said,
        ]
        goals += [f"Functions:\n{FUNCTION}\n\n{goal}" for goal in goals[::3]]
        asked = [*goals, *(SIMILAR.replace("{observation}", goal) for goal in goals)]
        histories = [History((text,)) for text in asked]
        told = [TOLD.format(feedback="it fails") + AGAIN, AGAIN]
        histories += [revision(histories[0], Action(said), ask) for ask in told]
        start = build_tiny(
            folder / "start",
            [said] * 20 + asked + told,
            vocabulary=320,
            hidden=32,
            layers=2,
            heads=2,
            context=4096,
            instructions=False,
        )
        policy = TransformersPolicy(start, device="cpu")
        answer = policy.tokens.answer(said)
        prompts = map(policy.tokens.prompt, histories)
        rows = [Weighted(prompt, answer, (1.0,) * len(answer)) for prompt in prompts]
        fills = {"input_ids": 0, "labels": -100, "weights": 0.0}
        adam = torch.optim.AdamW(policy.model.parameters(), lr=5e-3)
        for _ in range(120):
            inputs = pad_batch([as_example(row) for row in rows], fills)
            labels, weights = inputs.pop("labels"), inputs.pop("weights")
            logprobs, _ = taught_logprobs(policy.model, inputs, labels, weights)
            adam.zero_grad()
            (-logprobs.mean()).backward()
            adam.step()
        made[said] = policy.save(folder / "model")
        return made[said]

    return make


@pytest.fixture
def own_bfcl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an environment of BFCL's data, as a user's own module registers it."""
    (tmp_path / "own_bfcl.py").write_text(
        "import gymnasium as gym\n"
        "gym.register('own/BFCL-v0', 'agentgym_si.envs.function_calling:FunctionCallingEnv', "
        f"kwargs={{'data': {str(BFCL)!r}, 'suite': 'simple_python'}})\n"
    )
    monkeypatch.chdir(tmp_path)
    return "own_bfcl:own/BFCL-v0"


@pytest.fixture(scope="session")
def play() -> Any:
    """Return a function that plays two episodes from the command line; to those in the folder."""
    from agentgym_si.cli import app

    def run(env: str, policy: str, out: Path, *more: str, boxes: bool = False) -> list[Trajectory]:
        arguments = ["run", env, "--policy", policy, "--out", str(out), "--episodes", "2", *more]
        arguments += ["--in-flight", "2", "--json"]
        if boxes:  # they are shared in a process, and closed when it ends
            command = [sys.executable, "-c", "from agentgym_si.cli import main; main()", *arguments]
            shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            done = CliRunner().invoke(app, arguments)
            assert done.exception is None, done.output
            shown = done.stdout
        assert json.loads(shown)["failures"] == 0
        played = list(read_trajectories(out))
        assert len(played) == 2
        assert all(one.world == "real" for one in played)
        return played

    return run
