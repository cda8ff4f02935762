"""Group-relative policy optimisation on any of our environments, through TRL's `GRPOTrainer`.

Of TRL's two hooks for agents `rollout_func` is the one that can end an episode. Tokens are trained
on as sampled; what the environment said is read, not learned; an episode whose box failed reaches
TRL as a reward of None, which is in no group's mean and has no advantage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.rollouts import TextGymEnv
from agentgym_si.training.episodes import OnUpdate, Rollouts, as_prompt, rewards
from agentgym_si.training.trl_common import Loaded, TrainReport, TrainSettings, Watched, train

try:
    from datasets import Dataset
    from transformers import GenerationConfig
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
except ImportError as error:
    raise MissingDependency("training needs trl: pip install 'agentgym-si[train]'") from error


@dataclass(frozen=True)
class GRPOSettings(TrainSettings):
    """How to train on one's own episodes as they are played."""

    steps: int = 50
    """Updates; 0 for as many as there are tasks for."""
    batch_size: int = 64
    """Episodes an update: `group` of each of batch_size / group tasks and seeds."""
    group: int = 8
    learning_rate: float = 3e-4
    temperature: float = 0.7
    max_tokens: int = 32
    """Longest action, in tokens."""
    reuse: int = 1
    """Updates made on the same episodes; the ratio is clipped from the second on."""
    pull: float = 0.0
    """Factor of the KL divergence to the start (TRL's beta)."""
    clip: tuple[float, float] = (0.2, 0.2)
    """How far below and above 1 a token's ratio counts."""
    loss: Literal["dapo", "grpo", "dr_grpo"] = "dapo"
    """How the tokens' losses are averaged; see TRL's `loss_type`."""
    scale: Literal["group", "batch", "none"] = "group"
    """What deviation the advantages are divided by."""

    def __post_init__(self) -> None:
        """Check the ranges; raises BadInput."""
        super().__post_init__()
        if self.group < 2 or self.batch_size % self.group:
            raise BadInput(
                f"expected group of at least 2 that divides batch_size {self.batch_size}, "
                f"got {self.group}"
            )
        if not self.temperature > 0:
            raise BadInput(f"expected temperature above 0, got {self.temperature}")


def train_grpo(
    start: str | Path,
    envs: Sequence[TextGymEnv],
    tasks: Sequence[tuple[str, int]],
    out: str | Path,
    settings: GRPOSettings,
    on_update: OnUpdate | None = None,
) -> TrainReport:
    """Train checkpoint `start` by playing; write the result to the new folder `out`.

    Args:
        start: a checkpoint folder or hub name.
        envs: environments played at the same time.
        tasks: (task id, seed) pairs, each played `settings.group` times; taken in order, and from
            the first again where they run out.
        out: see `trl_common.train`.
        settings: of the training.
        on_update: called each time episodes were played, before they are learned from.

    Raises:
        BadInput: for fewer tasks than an update needs.
        RunStopped: where too many episodes fail in the box, or a loss is not finite.
    """
    if len(tasks) < settings.batch_size // settings.group:
        raise BadInput(
            f"expected at least {settings.batch_size // settings.group} tasks and seeds for an "
            f"update, got {len(tasks)}"
        )
    policy = TransformersPolicy(
        start,
        temperature=settings.temperature,
        max_new_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
        device=settings.device,
        attention=settings.attention,
    )
    play_all = Rollouts(envs, policy, settings.seed, on_update)

    def build(loaded: Loaded) -> tuple[Any, int]:
        loaded.model.generation_config = GenerationConfig.from_pretrained(str(start))
        trainer = _EpisodeTrainer(
            model=loaded.model,
            args=_config(settings, loaded.folder),
            reward_funcs=rewards,
            train_dataset=Dataset.from_list([{"prompt": as_prompt(*task)} for task in tasks]),
            processing_class=loaded.tokens.tokenizer,
            peft_config=settings.adapter(),
            rollout_func=play_all,
        ).watch()
        policy.model = trainer.model
        return trainer, settings.batch_size

    return train(start, out, settings, build, lambda: (policy.model, policy.tokens))


def _config(settings: GRPOSettings, folder: Path) -> GRPOConfig:
    return GRPOConfig(
        **settings.arguments(folder),
        num_generations=settings.group,
        num_iterations=settings.reuse,
        temperature=settings.temperature,
        beta=settings.pull,
        epsilon=settings.clip[0],
        epsilon_high=settings.clip[1],
        loss_type=settings.loss,
        scale_rewards=settings.scale,
        max_completion_length=settings.max_tokens,
        shuffle_dataset=False,
    )


class _EpisodeTrainer(Watched, GRPOTrainer):
    """`GRPOTrainer` that is watched."""

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        self.begin(0)  # the episodes are not played yet
        return super().get_batch_samples(epoch_iterator, num_batches, device)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self.note(loss)
        return loss
