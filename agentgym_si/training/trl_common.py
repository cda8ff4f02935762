"""What all trainers share: settings, a checkpoint in and a checkpoint out, nothing else touched."""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from agentgym_si.errors import BadInput, MissingDependency, RunStopped
from agentgym_si.policies.hf import Attention, load_model, make_readable, quiet_transformers
from agentgym_si.policies.threads import one_thread_if_small
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.training.allocator import keep_freed_memory
from agentgym_si.training.logs import logged

try:
    import torch
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
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
class TrainSettings:
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
    bf16: bool | None = None
    """Compute in bfloat16, keep the weights as they are; None where the device has instructions
    for it: a processor without them takes several times longer than with float32."""
    device: str = "auto"
    """A torch device, or "auto"."""
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """What TRL logs every update's loss to."""
    log_folder: str = ""
    """Where its files go, see `logs.logged`."""

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

    @property
    def on_cpu(self) -> bool:
        """Whether the processor computes."""
        auto = self.device == "auto"
        return not torch.cuda.is_available() if auto else self.device.startswith("cpu")

    @property
    def attention(self) -> Attention:
        """The implementation that is fastest: on a processor, bfloat16's is the plain one."""
        return "eager" if self.in_bf16 and self.on_cpu else "sdpa"

    @property
    def in_bf16(self) -> bool:
        """Whether bfloat16 is computed in."""
        return self.bf16 if self.bf16 is not None else not self.on_cpu or _cpu_has_bf16()

    def arguments(self, folder: Path) -> dict[str, Any]:
        """Return the arguments that all of TRL's configs take."""
        schedules = {"constant": "constant_with_warmup"}
        return {
            _CHECKPOINTING: False,
            "output_dir": str(folder),
            "max_steps": self.steps or -1,
            "num_train_epochs": self.epochs,
            "per_device_train_batch_size": self.batch_size // self.parts,
            "gradient_accumulation_steps": self.parts,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": schedules.get(self.schedule, self.schedule),
            "warmup_steps": self.warmup,
            "seed": self.seed,
            "bf16": self.in_bf16,
            "use_cpu": self.on_cpu,
            "remove_unused_columns": False,
            "save_strategy": "no",
            "logging_strategy": "no" if self.report_to == "none" else "steps",
            "logging_steps": 1,
            "report_to": self.report_to,
            "run_name": folder.name.removesuffix(".part"),
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
        }

    def adapter(self) -> Any:
        """Return peft's config of the adapter to train, None to train all weights."""
        if not self.lora_rank:
            return None
        return LoraConfig(
            r=self.lora_rank,
            lora_alpha=self.lora_alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )


@dataclass(frozen=True)
class TrainReport:
    """What a training did."""

    steps: int
    rows: int
    """Rows with any weight, pairs, or episodes."""
    tokens: int
    """Tokens with a weight that were learned from, a row counted each time it was read."""
    first_loss: float
    """Of the first update, as the trainer's docstring defines it."""
    last_loss: float
    seconds: float


class Loaded(NamedTuple):
    """What a trainer is made of."""

    model: Any
    """In float32."""
    tokens: ChatTokens
    folder: Path
    """Where the result is being written."""


class Watched:
    """Mix-in for a trainer of TRL: counts, and stops a run whose loss is not finite.

    A trainer calls `begin` before each update and `note` with each loss it has computed.
    """

    loss_is_scaled_for_ga: Any = True
    """transformers' name: the losses of an update's parts add up to the update's."""

    losses: list[float]
    """Of each update."""
    learned: int
    """Tokens with a weight so far."""

    def watch(self) -> Self:
        """Begin at nothing, and keep quiet; return the trainer itself."""
        self.losses, self.learned = [], 0
        self.remove_callback(PrinterCallback)  # type: ignore[attr-defined]
        return self

    def begin(self, tokens: int) -> None:
        """Begin an update that reads so many tokens with a weight."""
        self.losses.append(0.0)
        self.learned += tokens

    def note(self, loss: torch.Tensor) -> None:
        """Add a part's loss; raises RunStopped where it is not finite."""
        value = float(loss.detach())
        self.losses[-1] += value
        if not math.isfinite(value):
            raise RunStopped(
                f"the loss was {value} at update {len(self.losses)}; nothing was written, the "
                "checkpoint it started from is the last good one. A smaller learning_rate may help"
            )


def train(
    start: str | Path,
    out: str | Path,
    settings: TrainSettings,
    build: Callable[[Loaded], tuple[Any, int]],
    load: Callable[[], tuple[Any, ChatTokens]] | None = None,
) -> TrainReport:
    """Train checkpoint `start` with the trainer that `build` makes; write the new folder `out`.

    `out` appears when it is whole; with an adapter it holds the merged weights, and the adapter
    alone in `out/adapter`. The same input gives the same weights on a CPU, and no global random
    generator is moved.

    Args:
        start: a checkpoint folder or hub name.
        out: made by this call.
        settings: of the training.
        build: returns a `Watched` trainer and how many rows it reads.
        load: returns the model and its tokens where they are not simply those of `start`.

    Raises:
        BadInput: for a folder that is taken, and for what `build` refuses.
        RunStopped: where a loss or a weight is not finite; nothing is written.
    """
    began = time.perf_counter()
    out = Path(out)
    if out.exists():
        raise BadInput(f"expected a new folder for the trained model, got {out}, which exists")
    if settings.on_cpu:
        keep_freed_memory()
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _alone(), logged(settings.report_to, settings.log_folder):
            model, tokens = _load(start, settings) if load is None else load()
            # Half-precision weights are too coarse to add small updates to.
            trainer, rows = build(Loaded(model.to(dtype=torch.float32), tokens, part))
            with one_thread_if_small(trainer.model):
                trainer.train()
            _check_weights(trainer.model)
            _save(trainer.model, trainer.processing_class, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    part.rename(out)
    return TrainReport(
        steps=len(trainer.losses),
        rows=rows,
        tokens=trainer.learned,
        first_loss=trainer.losses[0],
        last_loss=trainer.losses[-1],
        seconds=time.perf_counter() - began,
    )


def _cpu_has_bf16() -> bool:
    """Say whether the processor multiplies in bfloat16."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def _load(start: str | Path, settings: TrainSettings) -> tuple[Any, ChatTokens]:
    tokens = ChatTokens.load(start)
    return load_model(start, device=settings.device, attention=settings.attention), tokens


def _check_weights(model: Any) -> None:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise RunStopped(f"{name} is not finite after training; nothing was written")


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(folder / "adapter", save_embedding_layers=False)
        (folder / "adapter" / "README.md").unlink(missing_ok=True)  # an empty form of peft's
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_readable(folder)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Give generators and variables of the process back as they were: trainers set them all."""
    states = random.getstate(), np.random.get_state()
    environment = set(os.environ)
    devices = range(torch.cuda.device_count())
    try:
        with (
            torch.random.fork_rng(devices=devices),
            quiet_transformers(),
            warnings.catch_warnings(),
        ):
            # peft 0.21 reads the old name of an attribute that transformers 5.23 renamed.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
            # The hook that can end an episode is one that TRL may still change: tested versions.
            warnings.filterwarnings("ignore", "You are using 'rollout_func'")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for name in set(os.environ) - environment:  # accelerate sets its own variables
            del os.environ[name]
