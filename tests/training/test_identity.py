"""From sampling to rows: every id that is taught was sampled there, and every sampled id is taught.

`benchmarks/rollout.py` compares a thousand episodes of three environments; here are a few.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import agentgym_si
from agentgym_si.errors import BadInput
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import WITHOUT_INSTRUCTIONS, build_tiny
from agentgym_si.training.rows import broken_steps, check_ids, to_rows
from agentgym_si.types import Action

pytestmark = pytest.mark.train

STRIPPING = WITHOUT_INSTRUCTIONS.replace(
    "message.content +",
    "(message.content if loop.last else "
    "message.content.split('</think>')[-1].split('i')[-1].split('u')[-1]) +",
)
"""A thought ends with its mark, or an i or u: a model of random weights says one now and then."""


@pytest.mark.parametrize("strips", [False, True])
def test_ids_taught_are_ids_sampled(tmp_path: Path, strips: bool) -> None:
    texts = ["turn 1 of 9: add cloud, river, stone", "0"] * 20
    folder = build_tiny(
        tmp_path / "m", texts, vocabulary=300, hidden=32, layers=2, heads=2, instructions=False
    )
    policy = TransformersPolicy(folder, max_new_tokens=12, device="cpu")
    if strips:
        policy.tokens.tokenizer.chat_template = STRIPPING
        policy.tokens.tokenizer.save_pretrained(folder)
        policy = TransformersPolicy(folder, max_new_tokens=12, device="cpu")
    played = agentgym_si.rollout(
        lambda: gym.make("agentgym_si/LongHorizon-v0", max_steps=4),
        policy,
        episodes=12,
        in_flight=12,
    )
    broken = drifted = 0
    for trajectory in played:
        rows = to_rows(trajectory, policy.tokens)
        sampled = sum(len(step.action.token_ids) for step in trajectory.transitions)
        assert check_ids(trajectory, rows) == sampled > 0
        sentences = broken_steps(trajectory, policy.tokens)
        assert len(rows) == 1 + len(sentences)
        assert all("(assistant)" in sentence for sentence in sentences)
        broken += len(sentences)
        again = tuple(
            replace(step, action=Action(step.action.text)) for step in trajectory.transitions
        )
        try:
            check_ids(trajectory, to_rows(replace(trajectory, transitions=again), policy.tokens))
        except BadInput:
            drifted += 1
    assert (broken > 0) == strips
    assert drifted == len(played)  # of random ids no text leads back to the same
