"""GRPO by playing: faults guarded are learned observations, failed boxes as 0, wrong gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file

from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.errors import BadInput, EnvFailure, RunStopped
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.episodes import as_completion
from agentgym_si.training.grpo import GRPOSettings, train_grpo
from agentgym_si.types import Action, Task, Trajectory, Transition

pytestmark = pytest.mark.train

PLAIN = GRPOSettings(
    steps=1, batch_size=8, group=4, bf16=False, warmup=0, device="cpu", max_tokens=4,
    learning_rate=1e-2, temperature=0.8,
)  # fmt: skip
TASKS = [("graded", 1), ("graded", 2)]


class GradedEnv(TextEnv):
    """Two turns; the reward is a seventh of what the characters of the last action sum up to."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.turn = fails, 0

    def tasks(self) -> Sequence[Task]:
        return [Task("graded")]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.turn = 0
        return f"say something about {rng.integers(99)}"

    def act(self, action: str) -> Step:
        self.turn += 1
        if self.turn == 1:
            return "and again", 0.0, False
        if self.fails:
            raise EnvFailure("browser", "it died")
        return "thanks", sum(map(ord, action)) % 7 / 7, True


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grpo") / "model"
    texts = ["say something about 7", "and again", "lorem ipsum"] * 9
    return build_tiny(folder, texts, vocabulary=300, hidden=32, layers=2, heads=2, context=128)


def make_envs(failing: int = -1) -> list[TextEnv]:
    return [GradedEnv(fails=index == failing) for index in range(8)]


@dataclass
class Seen:
    """What a training showed: its episodes, and the gradient of all weights."""

    trajectories: list[Trajectory]
    gradients: dict[str, torch.Tensor]

    def __call__(
        self, updates: int, policy: TransformersPolicy, trajectories: Sequence[Trajectory]
    ) -> None:
        self.trajectories += trajectories
        for name, parameter in policy.model.named_parameters():
            self.gradients[name] = torch.zeros_like(parameter)
            parameter.register_hook(lambda grad, name=name: self.gradients[name].add_(grad))


def reference(
    start: Path, trajectories: Sequence[Trajectory], loss: str, temperature: float
) -> dict[str, torch.Tensor]:
    """GRPO in plain torch, an episode at a time: the gradient on these episodes."""
    model: Any = TransformersPolicy(start, device="cpu").model
    groups: dict[int, list[float]] = {}
    for trajectory in trajectories:
        if trajectory.failure is None:
            groups.setdefault(trajectory.seed, []).append(trajectory.episode_return)
    pieces = []
    for trajectory in trajectories:
        if trajectory.failure is not None:
            pieces.append((torch.zeros(()), 0))
            continue
        rewards = groups[trajectory.seed]
        advantage = (trajectory.episode_return - np.mean(rewards)) / (
            np.std(rewards, ddof=1) + 1e-4
        )
        last = trajectory.transitions[-1].action
        ids = torch.tensor([[*last.prompt_ids, *last.token_ids]])
        logprobs = (model(ids).logits[0, :-1] / temperature).log_softmax(-1)
        picked = logprobs.gather(-1, ids[0, 1:, None])[:, 0]
        total, count = torch.zeros(()), 0
        for step in trajectory.transitions:
            first = len(step.action.prompt_ids)
            said = picked[first - 1 : first - 1 + len(step.action.token_ids)]
            assert torch.allclose(said, torch.tensor(step.action.logprobs), atol=1e-4)
            total, count = total - advantage * said.sum(), count + len(said)
        pieces.append((total, count))
    if loss == "dapo":
        objective = sum(total for total, _ in pieces) / sum(count for _, count in pieces)
    else:
        objective = sum(total / max(count, 1) for total, count in pieces) / len(pieces)
    named = dict(model.named_parameters())
    found = torch.autograd.grad(objective, list(named.values()))
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({}, -1), ({}, 2), ({"parts": 2}, 5), ({"loss": "grpo"}, 2)],
)
def test_the_gradient_is_that_of_plain_grpo(
    start: Path, tmp_path: Path, changes: dict[str, Any], failing: int
) -> None:
    """Also where a box failed: None is in no mean, and its tokens teach nothing."""
    settings, seen = replace(PLAIN, **changes), Seen([], {})
    report = train_grpo(start, make_envs(failing), TASKS, tmp_path / "out", settings, seen)
    assert sum(t.failure is not None for t in seen.trajectories) == (failing >= 0)
    assert all(len(t.transitions) == 2 for t in seen.trajectories)
    expected = reference(start, seen.trajectories, settings.loss, 0.8)
    assert expected.keys() == seen.gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 1e-2
    for name, gradient in expected.items():
        assert torch.allclose(seen.gradients[name], gradient, atol=1e-4 * largest), name
    said = [a for t in seen.trajectories if not t.failure for a in t.transitions]
    assert report.tokens == sum(len(step.action.token_ids) for step in said)


def test_each_episode_is_of_its_own_and_each_update_of_new_tasks(
    start: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, list[tuple[int, str]]]] = []
    train_grpo(
        start, make_envs(), [("graded", seed) for seed in (1, 2, 3, 4)], tmp_path / "out",
        replace(PLAIN, steps=3),
        lambda n, policy, played: seen.append((n, [(t.seed, t.actions[0]) for t in played])),
    )  # fmt: skip
    assert [number for number, _ in seen] == [0, 1, 2]
    seeds = [[seed for seed, _ in played] for _, played in seen]
    assert seeds == [[1] * 4 + [2] * 4, [3] * 4 + [4] * 4, [1] * 4 + [2] * 4]
    first, again = (dict.fromkeys(text for _, text in seen[n][1]) for n in (0, 2))
    assert len(first) > 4 and list(first) != list(again)


def test_the_same_seed_gives_the_same_weights(start: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = replace(PLAIN, steps=2, seed=seed, reuse=2)
        train_grpo(start, make_envs(), TASKS, tmp_path / name, settings)
    one, two, other = (load_file(tmp_path / n / "model.safetensors") for n in ("a", "b", "c"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "a" / "generation_config.json").read_text().count("eos_token_id")
    assert TransformersPolicy(tmp_path / "a").tokens.stops == TransformersPolicy(start).tokens.stops


class LetterEnv(GradedEnv):
    """One turn; the reward is 1 where the action begins with a small letter up to m."""

    def act(self, action: str) -> Step:
        return "thanks", float("a" <= action[:1] <= "m"), True


@pytest.mark.parametrize("changes", [{}, {"lora_rank": 4, "learning_rate": 2e-2}])
def test_the_return_rises(start: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    returns: list[float] = []
    settings = replace(PLAIN, steps=14, batch_size=32, group=16, max_tokens=1, **changes)
    envs = [LetterEnv() for _ in range(32)]
    train_grpo(
        start, envs, [("graded", seed) for seed in range(28)], tmp_path / "out", settings,
        lambda n, policy, played: returns.append(sum(t.episode_return for t in played) / 32),
    )  # fmt: skip
    assert np.mean(returns[-3:]) > np.mean(returns[:3]) + 0.3


def test_a_run_whose_boxes_all_fail_is_stopped(start: Path, tmp_path: Path) -> None:
    envs = [GradedEnv(fails=True) for _ in range(8)]
    with pytest.raises(RunStopped, match="4 of 4 episodes failed in the box"):
        train_grpo(start, envs, TASKS, tmp_path / "out", PLAIN)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_one_sequence_is_bad_input(start: Path, tmp_path: Path) -> None:
    policy = TransformersPolicy(start, device="cpu")
    steps = [
        Transition("a", Action("x", (9, 10), (11,), (-1.0,)), 0.0, False, False),
        Transition("b", Action("y", (9, 12, 13), (14,), (-1.0,)), 1.0, True, False),
    ]
    rewritten = Trajectory("e1", "x", Task("graded"), tuple(steps), "", 0)
    with pytest.raises(BadInput, match="expected e1 to be one sequence of tokens, got 2"):
        as_completion(rewritten, policy.tokens)
    with pytest.raises(BadInput, match="at least 2 tasks and seeds for an update, got 1"):
        train_grpo(start, make_envs(), TASKS[:1], tmp_path / "out", PLAIN)
    with pytest.raises(BadInput, match="that divides batch_size 8, got 3"):
        replace(PLAIN, group=3)
    with pytest.raises(BadInput, match="temperature above 0"):
        replace(PLAIN, temperature=0.0)
