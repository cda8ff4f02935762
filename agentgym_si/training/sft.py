"""Supervised training on weighted rows, through TRL's `SFTTrainer`."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.hf import load_model, make_readable, pad_id, quiet_transformers
from agentgym_si.policies.threads import one_thread_if_small
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.training.allocator import keep_freed_memory
from agentgym_si.types import Weighted

try:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer
except ImportError as error:
    raise MissingDependency(
        "training needs torch, transformers, trl, peft and datasets: "
        "pip install 'agentgym-si[train]'"
    ) from error


# transformers renamed the switch; TRL turns it on unless told otherwise.
_CHECKPOINTING = (
    "activation_checkpointing"
    if "activation_checkpointing" in SFTConfig.__dataclass_fields__
    else "gradient_checkpointing"
)


@dataclass(frozen=True)
class SFTSettings:
    """How to train; checked when made."""

    steps: int = 0
    """Updates; 0 for `epochs` passes over the rows."""
    epochs: float = 1.0
    batch_size: int = 16
    """Rows an update."""
    parts: int = 1
    """How many pieces a batch is computed in, where memory is short; divides `batch_size`."""
    learning_rate: float = 1e-3
    """Of AdamW; a thousandth suits tiny models, a hundred-thousandth billions of parameters."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate goes down after the warm-up."""
    warmup: int = 10
    """Updates over which the learning rate rises to its value."""
    seed: int = 0
    """Of the order of the rows and of the adapter's first weights."""
    lora_rank: int = 0
    """Rank of a low-rank adapter on every linear layer; 0 trains all weights."""
    lora_alpha: int = 16
    """The adapter is scaled by lora_alpha / lora_rank."""
    bf16: bool = True
    """Compute in bfloat16, keep the weights as they are."""
    device: str = "auto"
    """A torch device, or "auto"."""

    def __post_init__(self) -> None:
        """Check the ranges; raises BadInput."""
        for name in ("steps", "warmup", "lora_rank"):
            if getattr(self, name) < 0:
                raise BadInput(f"expected {name} of at least 0, got {getattr(self, name)}")
        for name in ("epochs", "batch_size", "parts", "learning_rate", "lora_alpha"):
            if not getattr(self, name) > 0:
                raise BadInput(f"expected {name} above 0, got {getattr(self, name)}")
        if self.batch_size % self.parts:
            raise BadInput(
                f"expected parts to divide batch_size {self.batch_size}, got {self.parts}"
            )


@dataclass(frozen=True)
class TrainReport:
    """What a training did."""

    steps: int
    rows: int
    """Rows with any weight."""
    tokens: int
    """Tokens with a weight that were learned from, a row counted each time it was read."""
    first_loss: float
    """Of the first update: sum of weight x negative log-likelihood / sum of |weight|."""
    last_loss: float
    seconds: float


def train_sft(
    start: str | Path, rows: Sequence[Weighted], out: str | Path, settings: SFTSettings
) -> TrainReport:
    """Train checkpoint `start` on `rows` and write the result to the new folder `out`.

    The ids of the rows are trained on as they are. The loss of an update is the weighted mean
    sum(w * nll) / sum(|w|) over its batch. `out` appears when it is whole; with an adapter it
    holds the merged weights, and the adapter alone in `out/adapter`. The same input gives the same
    weights on a CPU, and no global random generator is moved. Raises BadInput for rows that cannot
    be trained on: none with a weight, ids outside the vocabulary, longer than the context.
    """
    began = time.perf_counter()
    out = Path(out)
    if out.exists():
        raise BadInput(f"expected a new folder for the trained model, got {out}, which exists")
    if _on_cpu(settings):
        keep_freed_memory()
    tokens = ChatTokens.load(start)
    attention: Any = "eager" if settings.bf16 and _on_cpu(settings) else "sdpa"
    model: Any = load_model(start, device=settings.device, attention=attention)
    # Half-precision weights are too coarse to add small updates to.
    model = model.to(dtype=torch.float32)
    kept = _check_rows(rows, model.config.get_text_config())
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with _kept_generators(), quiet_transformers(), warnings.catch_warnings():
        # peft 0.21 reads the old name of an attribute that transformers 5.23 renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        trainer = _trainer(model, tokens, kept, part, settings)
        with one_thread_if_small(model):
            trainer.train()
        _save(trainer.model, tokens, part)
    part.rename(out)
    return TrainReport(
        steps=len(trainer.losses),
        rows=len(kept),
        tokens=trainer.learned,
        first_loss=trainer.losses[0],
        last_loss=trainer.losses[-1],
        seconds=time.perf_counter() - began,
    )


def _check_rows(rows: Sequence[Weighted], config: Any) -> list[Weighted]:
    limit, vocabulary = int(config.max_position_embeddings), int(config.vocab_size)
    for index, row in enumerate(rows):
        where = f"row {index}" + (f" (of {row.origin})" if row.origin else "")
        length = len(row.context) + len(row.completion)
        if length > limit:
            raise BadInput(f"expected at most {limit} tokens, got {length} in {where}")
        if any(not 0 <= token < vocabulary for token in (*row.context, *row.completion)):
            raise BadInput(f"expected token ids below {vocabulary}, got another in {where}")
    kept = [row for row in rows if any(_weights(row))]
    if not kept:
        raise BadInput(f"expected rows with a weight other than 0, got none in {len(rows)} rows")
    return kept


def _on_cpu(settings: SFTSettings) -> bool:
    auto = settings.device == "auto"
    return not torch.cuda.is_available() if auto else settings.device.startswith("cpu")


def _trainer(
    model: Any, tokens: ChatTokens, rows: Sequence[Weighted], folder: Path, settings: SFTSettings
) -> _WeightedTrainer:
    options: dict[str, Any] = {_CHECKPOINTING: False}
    arguments = SFTConfig(
        **options,
        output_dir=str(folder),
        max_steps=settings.steps or -1,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size // settings.parts,
        gradient_accumulation_steps=settings.parts,
        learning_rate=settings.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(
            settings.schedule, settings.schedule
        ),
        warmup_steps=settings.warmup,
        seed=settings.seed,
        bf16=settings.bf16,
        use_cpu=_on_cpu(settings),
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    adapter = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = _WeightedTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(rows),
        processing_class=tokens.tokenizer,
        data_collator=_Collator(pad_id(tokens)),
        peft_config=adapter if settings.lora_rank else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _weights(row: Weighted) -> list[float]:
    """Return the weight of each token of the chat; nothing predicts the first."""
    return [0.0, *([0.0] * len(row.context) + list(row.weights))[1:]]


def _dataset(rows: Sequence[Weighted]) -> Any:
    weights = [_weights(row) for row in rows]
    ids = [[*row.context, *row.completion] for row in rows]
    labels = [
        [token if weight else -100 for token, weight in zip(*row, strict=True)]
        for row in zip(ids, weights, strict=True)
    ]
    return Dataset.from_dict({"input_ids": ids, "labels": labels, "weights": weights})


@dataclass(frozen=True)
class _Collator:
    """Pad on the left, so that what is learned stands in the same few columns of every row."""

    pad: int

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        length = max(len(example["input_ids"]) for example in examples)
        fills = {"input_ids": self.pad, "labels": -100, "weights": 0.0}
        padded = {
            name: torch.tensor(
                [[fill] * (length - len(example[name])) + example[name] for example in examples]
            )
            for name, fill in fills.items()
        }
        lengths = torch.tensor([len(example["input_ids"]) for example in examples])
        mask = (torch.arange(length) >= length - lengths[:, None]).long()
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        return {**padded, "attention_mask": mask, "position_ids": positions}


class _WeightedTrainer(SFTTrainer):
    """`SFTTrainer` whose loss is the weighted mean over an update's tokens.

    TRL's hook for a loss of one's own, `compute_loss_func`, sees no weights and is deprecated in
    favour of this override.
    """

    loss_is_scaled_for_ga = True  # type: ignore[assignment]  # TRL leaves it to subclasses

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.losses: list[float] = []
        """Of each update."""
        self.learned = 0
        """Tokens with a weight so far."""

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.losses.append(0.0)
        self.learned += sum(int((batch["weights"][:, 1:] != 0).sum()) for batch in batches)
        return batches, sum(batch["weights"][:, 1:].abs().sum() for batch in batches).to(device)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        weights, labels = inputs.pop("weights")[:, 1:], inputs.pop("labels")[:, 1:]
        # Logits are the largest tensor by far: only the columns that teach something have any.
        (columns,) = weights.any(dim=0).nonzero(as_tuple=True)
        outputs = model(**inputs, use_cache=False, logits_to_keep=columns)
        nll = torch.nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), labels[:, columns].flatten(), reduction="none"
        )
        loss = (weights[:, columns].flatten() * nll).sum() / num_items_in_batch
        self.losses[-1] += float(loss.detach())
        return (loss, outputs) if return_outputs else loss


def _save(model: Any, tokens: ChatTokens, folder: Path) -> None:
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(folder / "adapter", save_embedding_layers=False)
        (folder / "adapter" / "README.md").unlink(missing_ok=True)  # an empty form of peft's
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    tokens.tokenizer.save_pretrained(folder)
    make_readable(folder)


@contextlib.contextmanager
def _kept_generators() -> Iterator[None]:
    """Give the global random generators back as they were: the trainer seeds them all."""
    states = random.getstate(), np.random.get_state()
    environment = set(os.environ)
    devices = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for name in set(os.environ) - environment:  # accelerate sets its own variables
            del os.environ[name]
