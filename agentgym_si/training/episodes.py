"""Played episodes in the form of TRL's `rollout_func`: prompts are tasks, tokens are as sampled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from agentgym_si.errors import BadInput
from agentgym_si.policies.base import stable_seed
from agentgym_si.policies.hf import TransformersPolicy, pad_id
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.rollouts import Episode, TextGymEnv, play
from agentgym_si.training.rows import to_rows
from agentgym_si.types import Trajectory

OnUpdate = Callable[[int, TransformersPolicy, Sequence[Trajectory]], None]
"""Called with how many updates were made, the policy as it is then, and the episodes it played."""


def as_prompt(task: str, seed: int) -> str:
    """Return a task and seed as TRL's `prompt`, which is read by `Rollouts` alone."""
    return json.dumps([task, seed])


def rewards(episode_return: Sequence[float | None], **others: Any) -> list[float | None]:
    """Return each episode's return; TRL's form of a reward function."""
    return list(episode_return)


class Rollouts:
    """TRL's `rollout_func`: plays the prompts with the policy as it is by then.

    Args:
        envs: environments played at the same time.
        policy: whose `model` is the one that is trained.
        seed: of the sampling.
        on_update: see `OnUpdate`.
    """

    def __init__(
        self,
        envs: Sequence[TextGymEnv],
        policy: TransformersPolicy,
        seed: int = 0,
        on_update: OnUpdate | None = None,
    ) -> None:
        """Keep all of it."""
        self.envs, self.policy, self.seed, self.on_update = envs, policy, seed, on_update

    def __call__(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """Return TRL's columns, one entry a prompt."""
        played: Counter[str] = Counter()
        episodes = []
        for prompt in prompts:
            task, seed = json.loads(prompt)
            name = f"{trainer.state.global_step}/{task}/{seed}/{played[prompt]}"
            sampling = stable_seed(self.seed, name)
            episodes.append(Episode(name, seed, task, played[prompt], sampling))
            played[prompt] += 1
        trainer.model.eval()
        trajectories = play(self.envs, self.policy, episodes)
        trainer.model.train()
        if self.on_update is not None:
            self.on_update(trainer.state.global_step, self.policy, trajectories)
        columns = [as_completion(trajectory, self.policy.tokens) for trajectory in trajectories]
        trainer.learned += sum(sum(column["env_mask"]) for column in columns)
        return {name: [column[name] for column in columns] for name in columns[0]}


def as_completion(trajectory: Trajectory, tokens: ChatTokens) -> dict[str, Any]:
    """Return an episode in TRL's columns, `env_mask` 1 where the policy spoke.

    One that taught nothing, failed boxes among them, is a single masked token. Raises BadInput
    where the chat template rewrites history: such an episode is not one sequence.
    """
    rows = to_rows(trajectory, tokens)
    if len(rows) > 1:
        raise BadInput(
            f"expected {trajectory.id} to be one sequence of tokens, got {len(rows)}: the chat "
            f"template of {tokens.name} rewrites what was said; train on its rows by `train_sft`"
        )
    failed = trajectory.failure is not None
    found: dict[str, Any] = {"episode_return": None if failed else trajectory.episode_return}
    if not rows:
        pad = pad_id(tokens)
        nothing = {"prompt_ids": [pad], "completion_ids": [pad], "logprobs": [0.0], "env_mask": [0]}
        return found | nothing
    (row,) = rows
    return found | {
        "prompt_ids": list(row.context),
        "completion_ids": list(row.completion),
        "logprobs": list(row.logprobs),
        "env_mask": [int(weight != 0) for weight in row.weights],
    }
