"""Preferences through TRL's `DPOTrainer`, token-exact: DPO, conservative a pair, and SimPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.batches import taught_logprobs
from agentgym_si.policies.hf import pad_id
from agentgym_si.training.objectives import dpo, simpo, weighted_mean, weighted_sum
from agentgym_si.training.pairs import REFERENCES, PairCollator, pair_example
from agentgym_si.training.trl_common import Loaded, TrainReport, TrainSettings, Watched, train
from agentgym_si.types import Preference

try:
    import torch
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
except ImportError as error:
    raise MissingDependency("training needs trl: pip install 'agentgym-si[train]'") from error


@dataclass(frozen=True)
class DPOSettings(TrainSettings):
    """How to train on preferences; `batch_size` counts pairs."""

    learning_rate: float = 1e-4
    loss: Literal["dpo", "simpo"] = "dpo"
    """DPO compares sums of logprobs with those of the start; SimPO means, and needs no start."""
    beta: float = 0.1
    """DPO's pull to the start; about 0.1 there and 2 to 10 for SimPO's means."""
    margin: float = 0.5
    """SimPO's: by which the chosen is to be better."""


def train_dpo(
    start: str | Path, rows: Sequence[Preference], out: str | Path, settings: DPOSettings
) -> TrainReport:
    """Train checkpoint `start` on pairs and write the result to the new folder `out`.

    The reference is the start. Only tokens with a weight are compared: tool results between the
    answers of an episode are read, not preferred. The loss of an update is the mean over its pairs.
    Raises BadInput for pairs that cannot be trained on: no weight on a side, weights below 0, ids
    outside the vocabulary, longer than the context; RunStopped like `trl_common.train`.
    """

    def build(loaded: Loaded) -> tuple[Any, int]:
        config = loaded.model.config.get_text_config()
        examples = [pair_example(index, row, config) for index, row in enumerate(rows)]
        if not examples:
            raise BadInput("expected pairs to train on, got none")
        return _trainer(loaded, examples, settings), len(examples)

    return train(start, out, settings, build)


def _trainer(
    loaded: Loaded, examples: Sequence[dict[str, Any]], settings: DPOSettings
) -> _PairTrainer:
    config = DPOConfig(
        **settings.arguments(loaded.folder),
        max_length=None,
        precompute_ref_log_probs=True,  # else TRL loads a second model
    )
    return _PairTrainer(
        settings,
        args=config,
        model=loaded.model,
        processing_class=loaded.tokens.tokenizer,
        data_collator=PairCollator(pad_id(loaded.tokens)),
        train_dataset=Dataset.from_list(list(examples)),
        peft_config=settings.adapter(),
    ).watch()


class _PairTrainer(Watched, DPOTrainer):
    """`DPOTrainer` on rows that are tokenised, with weights a token and a smoothing a pair.

    TRL's own tokenises text, learns tool results inside a completion, and has neither.
    """

    def __init__(self, settings: DPOSettings, **keywords: Any) -> None:
        self.settings = settings
        super().__init__(**keywords)

    def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """Add what the model says before it has learned; TRL's own keeps a file of it."""
        if self.settings.loss == "simpo":
            return dataset
        found: list[list[float]] = [[], []]
        for first in range(0, len(dataset), batch_size):
            rows = dataset.select(range(first, min(first + batch_size, len(dataset))))
            batch = self._prepare_inputs(self.data_collator(list(rows)))
            with torch.no_grad(), self.accelerator.autocast():
                sides = self._scores(self.model, batch)
            for scores, side in zip(found, sides, strict=True):
                scores += side.tolist()
        for column, scores in zip(REFERENCES, found, strict=True):
            dataset = dataset.add_column(column, scores)
        return dataset

    def _scores(self, model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        """Return what is compared, (B,) for the chosen and (B,) for the rejected."""
        names = ("input_ids", "attention_mask", "position_ids")
        read = {name: inputs[name] for name in names}
        logprobs, columns = taught_logprobs(model, read, inputs["labels"], inputs["weights"])
        weights = inputs["weights"][:, 1:][:, columns]
        score = weighted_sum if self.settings.loss == "dpo" else weighted_mean
        return score(logprobs, weights).chunk(2)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.begin(sum(int((batch["weights"][:, 1:] != 0).sum()) for batch in batches))
        return batches, sum(len(batch["smoothing"]) for batch in batches)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        chosen, rejected = self._scores(model, inputs)
        beta, smoothing = self.settings.beta, inputs["smoothing"]
        if self.settings.loss == "dpo":
            references = [inputs[name] for name in REFERENCES]
            losses = dpo(chosen, rejected, *references, beta=beta, smoothing=smoothing)
        else:
            margin = self.settings.margin
            losses = simpo(chosen, rejected, beta=beta, margin=margin, smoothing=smoothing)
        loss = losses.sum() / num_items_in_batch
        self.note(loss)
        return (loss, {"losses": losses}) if return_outputs else loss
