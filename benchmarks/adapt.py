"""Throw-away LoRA for many instances at once, against peft and TRL one by one.

Each instance has its own rows, as test-time self-improvement makes them (arXiv 2510.07841: rank 8,
every linear layer, 5 updates of one row). Ours trains all instances in one pass an update; the peer
does what TRL's users do for each: `get_peft_model`, `SFTTrainer.train`, `unload`. Also timed: ours
one by one, and the floor, which is nothing but forward and backward passes of the same batches
through the bare model. Both sides compute in the same number format. Seconds are of CPU time on a
processor, of the clock on a GPU; the best of the rounds counts, the rounds in turn.

The last line is one JSON object: instances parameters stacked_seconds sequential_seconds
own_sequential_seconds floor_seconds stacked_vs_sequential (TRL's seconds over ours) floor_ratio
(ours over the floor's) largest_difference (of an adapter's last loss, stacked and alone).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from agentgym_si.policies.batches import IGNORED, as_example, pad_batch, taught_logprobs
from agentgym_si.policies.hf import TransformersPolicy, pad_id
from agentgym_si.policies.lora import LoraSettings, StackedLora
from agentgym_si.policies.threads import one_thread_if_small
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.sft import SFTSettings
from agentgym_si.types import Weighted

LORA = LoraSettings(learning_rate=2e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--instances", type=int, default=32)
    parser.add_argument(
        "--length", type=int, default=171, help="tokens a row, half of them learned"
    )
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--model", help="a checkpoint folder in place of a tiny model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=int, default=0, help="instances the peer trains; 0 for all")
    parser.add_argument("--quick", action="store_true", help="one round, the peer on 8 instances")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.peers = 1, 8
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print(json.dumps(figures))


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    start = arguments.model or build_tiny(
        folder / "model",
        ["lorem ipsum dolor sit amet"] * 9,
        vocabulary=arguments.vocabulary,
        hidden=arguments.hidden,
        layers=arguments.layers,
        heads=max(arguments.hidden // 32, 2),
    )
    policy = TransformersPolicy(start, device=arguments.device)
    rows = draw_rows(arguments.instances, arguments.length, policy.model.config.vocab_size)
    peers = rows[: arguments.peers or None]
    pad = pad_id(policy.tokens)
    with StackedLora(policy.model, len(rows), LORA) as stack:
        together = stack.fit([[row] for row in rows], pad=pad)
    with StackedLora(policy.model, 1, LORA) as lora:
        differences = []
        for row, losses in zip(rows, together, strict=True):
            lora.reset()
            differences.append(abs(lora.fit([[row]], pad=pad)[0][-1] - losses[-1]))
    arms: dict[str, Callable[[], None]] = {
        "stacked": lambda: stacked(policy, rows, pad),
        "sequential": lambda: sequential(policy, peers, pad, folder),
        "own_sequential": lambda: one_by_one(policy, rows, pad),
        "floor": lambda: floor(policy, rows, pad),
    }
    best = dict.fromkeys(arms, float("inf"))
    for _ in range(arguments.rounds):
        for name, arm in arms.items():
            best[name] = min(best[name], seconds_of(arm, arguments.device))
    best["sequential"] *= len(rows) / len(peers)
    return {
        "instances": len(rows),
        "parameters": sum(p.numel() for p in policy.model.parameters()),
        "device": arguments.device,
        **{f"{name}_seconds": round(value, 4) for name, value in best.items()},
        "stacked_vs_sequential": round(best["sequential"] / best["stacked"], 2),
        "floor_ratio": round(best["stacked"] / best["floor"], 3),
        "largest_difference": max(differences),
    }


def draw_rows(count: int, length: int, vocabulary: int) -> list[Weighted]:
    draw = np.random.default_rng(0)
    ids = draw.integers(6, min(vocabulary, 300), (count, length)).tolist()
    half = length // 2
    return [Weighted(tuple(r[:half]), tuple(r[half:]), (1.0,) * (length - half)) for r in ids]


def seconds_of(arm: Callable[[], None], device: str) -> float:
    if device.startswith("cpu"):
        began = time.process_time()
        arm()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    arm()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def stacked(policy: TransformersPolicy, rows: Sequence[Weighted], pad: int) -> None:
    with StackedLora(policy.model, len(rows), LORA) as lora:
        lora.fit([[row] for row in rows], pad=pad)


def one_by_one(policy: TransformersPolicy, rows: Sequence[Weighted], pad: int) -> None:
    with StackedLora(policy.model, 1, LORA) as lora:
        for row in rows:
            lora.reset()
            lora.fit([[row]], pad=pad)


def floor(
    policy: TransformersPolicy, rows: Sequence[Weighted], pad: int, epochs: int = LORA.epochs
) -> None:
    """Pass the same batches forward, and backward to the embedded input, without any adapter."""
    model: Any = policy.model
    model.requires_grad_(False)
    try:
        with one_thread_if_small(model):
            for _ in range(epochs):
                fills = {"input_ids": pad, "labels": IGNORED, "weights": 0.0}
                inputs = pad_batch([as_example(row) for row in rows], fills)
                inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
                labels, weights = inputs.pop("labels"), inputs.pop("weights")
                embedded = model.get_input_embeddings()(inputs.pop("input_ids"))
                embedded.requires_grad_()
                inputs["inputs_embeds"] = embedded
                logprobs, _ = taught_logprobs(model, inputs, labels, weights)
                torch.autograd.grad(-logprobs.mean(), embedded)
    finally:
        model.requires_grad_(True)


def sequential(
    policy: TransformersPolicy, rows: Sequence[Weighted], pad: int, folder: Path
) -> None:
    """Train and drop an adapter a row, as TRL is used."""
    settings = SFTSettings(
        steps=LORA.epochs,
        batch_size=1,
        bf16=False,
        warmup=0,
        learning_rate=LORA.learning_rate,
        device=str(policy.model.device),
    )
    config = LoraConfig(r=LORA.rank, lora_alpha=16, target_modules="all-linear")
    arguments = SFTConfig(
        **settings.arguments(folder / "trl"),
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    for row in rows:
        example = as_example(row)
        dataset = Dataset.from_list([{name: example[name] for name in ("input_ids", "labels")}])
        with warnings.catch_warnings(), one_thread_if_small(policy.model):
            warnings.simplefilter("ignore")
            adapted: Any = get_peft_model(policy.model, config)
            trainer = SFTTrainer(
                model=adapted,
                args=arguments,
                train_dataset=dataset,
                processing_class=policy.tokens.tokenizer,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            policy.model = adapted.unload()
    policy.model.requires_grad_(True)


if __name__ == "__main__":
    main()
