"""Rows that are good or bad, each by itself, through TRL's `KTOTrainer`, token-exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.batches import check_rows
from agentgym_si.policies.hf import pad_id
from agentgym_si.training.trl_common import Loaded, TrainReport, TrainSettings, Watched, train
from agentgym_si.types import Weighted

try:
    import torch
    from datasets import Dataset
    from torch.nn.utils.rnn import pad_sequence
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer
except ImportError as error:
    raise MissingDependency("training needs trl: pip install 'agentgym-si[train]'") from error


@dataclass(frozen=True)
class KTOSettings(TrainSettings):
    """How to train on good and bad rows."""

    learning_rate: float = 1e-4
    beta: float = 0.1
    """Strength of the pull to the start."""
    good: float = 1.0
    """Factor of the loss of good rows; good x their number is best near bad x theirs."""
    bad: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges; raises BadInput."""
        super().__post_init__()
        if self.batch_size // self.parts < 2:
            raise BadInput("expected at least 2 rows a part: KTO compares a row with others'")


def train_kto(
    start: str | Path, rows: Sequence[Weighted], out: str | Path, settings: KTOSettings
) -> TrainReport:
    """Train checkpoint `start` on rows whose weights' sign says whether they are good or bad.

    KTO (arXiv 2402.01306), the loss as TRL computes it; the reference is the start. Tokens of
    weight 0 (tool results) are read, not learned; how large a weight is does not count. Raises
    BadInput for rows that cannot be trained on: weights of both signs, ids outside the vocabulary,
    longer than the context; RunStopped like `trl_common.train`.
    """

    def build(loaded: Loaded) -> tuple[Any, int]:
        config = loaded.model.config.get_text_config()
        examples = _examples(check_rows(rows, config), int(config.max_position_embeddings))
        return _trainer(loaded, examples, settings), len(examples)

    return train(start, out, settings, build)


def _examples(rows: Sequence[Weighted], limit: int) -> list[dict[str, Any]]:
    """Return TRL's columns and masks; a row's KL is measured on the next answer that fits it."""
    examples = []
    for index, row in enumerate(rows):
        if min(row.weights) < 0 < max(row.weights):
            raise BadInput(f"expected weights of one sign, got both in row {index} ({row.origin})")
        room, others = limit - len(row.context), (*rows[index + 1 :], *rows[:index], row)
        other = next(other for other in others if len(other.completion) <= room)
        examples.append(
            {
                "prompt_ids": list(row.context),
                "completion_ids": list(row.completion),
                "KL_completion_ids": list(other.completion),
                "mask": [int(weight != 0) for weight in row.weights],
                "KL_mask": [int(weight != 0) for weight in other.weights],
                "label": max(row.weights) > 0,
            }
        )
    return examples


def _trainer(
    loaded: Loaded, examples: Sequence[dict[str, Any]], settings: KTOSettings
) -> _RowTrainer:
    config = KTOConfig(
        **settings.arguments(loaded.folder),
        max_length=None,
        beta=settings.beta,
        desirable_weight=settings.good,
        undesirable_weight=settings.bad,
    )
    return _RowTrainer(
        args=config,
        model=loaded.model,
        processing_class=loaded.tokens.tokenizer,
        data_collator=_Collator(pad_id(loaded.tokens)),
        train_dataset=Dataset.from_list(list(examples)),
        peft_config=settings.adapter(),
    ).watch()


@dataclass(frozen=True)
class _Collator:
    """Pads on the right, as TRL does, with masks of the tokens that count."""

    pad: int

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = {"label": torch.tensor([example["label"] for example in examples])}
        for prefix in ("", "KL_"):
            rows = [e["prompt_ids"] + e[f"{prefix}completion_ids"] for e in examples]
            masks = [[0] * len(e["prompt_ids"]) + e[f"{prefix}mask"] for e in examples]
            for name, lists, fill in (("input_ids", rows, self.pad), ("completion_mask", masks, 0)):
                tensors = [torch.tensor(row) for row in lists]
                batch[f"{prefix}{name}"] = pad_sequence(tensors, True, fill)
            reads = [torch.ones(len(row), dtype=torch.long) for row in rows]
            batch[f"{prefix}attention_mask"] = pad_sequence(reads, True, 0)
        return batch


class _RowTrainer(Watched, KTOTrainer):
    """`KTOTrainer` on rows that are tokenised already."""

    loss_is_scaled_for_ga = False

    def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
        return dataset

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.begin(sum(int(batch["completion_mask"][:, 1:].sum()) for batch in batches))
        return batches, count

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss = super().compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        self.note(loss / self.current_gradient_accumulation_steps)
        return loss
