"""Weighted rows as padded tensors, and the log-probabilities of what they teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.types import Weighted

try:
    import torch
except ImportError as error:
    raise MissingDependency(
        "training needs torch and transformers: pip install 'agentgym-si[train]'"
    ) from error

IGNORED = -100
"""Label of a token that is no target."""


def check_rows(rows: Sequence[Weighted], config: Any) -> list[Weighted]:
    """Return the rows that have a weight; raises BadInput for what the model cannot read.

    `config` is the model's text configuration. Rows are never cut.
    """
    limit, vocabulary = int(config.max_position_embeddings), int(config.vocab_size)
    for index, row in enumerate(rows):
        where = f"row {index}" + (f" (of {row.origin})" if row.origin else "")
        length = len(row.context) + len(row.completion)
        if length > limit:
            raise BadInput(f"expected at most {limit} tokens, got {length} in {where}")
        if any(not 0 <= token < vocabulary for token in (*row.context, *row.completion)):
            raise BadInput(f"expected token ids below {vocabulary}, got another in {where}")
    kept = [row for row in rows if any(chat_weights(row))]
    if not kept:
        raise BadInput(f"expected rows with a weight other than 0, got none in {len(rows)} rows")
    return kept


def chat_weights(row: Weighted) -> list[float]:
    """Return the weight of each token of the chat; nothing predicts the first."""
    return [0.0, *([0.0] * len(row.context) + list(row.weights))[1:]]


def as_example(row: Weighted) -> dict[str, Any]:
    """Return a row's `input_ids`, `labels` and `weights`, all (P + T,)."""
    weights = chat_weights(row)
    ids = [*row.context, *row.completion]
    labels = [token if weight else IGNORED for token, weight in zip(ids, weights, strict=True)]
    return {"input_ids": ids, "labels": labels, "weights": weights}


def pad_batch(
    examples: Sequence[Mapping[str, Any]], fills: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """Pad on the left, so that what is learned stands in the same few columns of every row.

    Args:
        examples: lists of one length an example, under the names of `fills`.
        fills: what each name is filled up with; `input_ids` is among them.

    Returns:
        (B, L) tensors under those names, `attention_mask` and `position_ids`.
    """
    length = max(len(example["input_ids"]) for example in examples)
    padded = {
        name: torch.tensor(
            [[fill] * (length - len(example[name])) + list(example[name]) for example in examples]
        )
        for name, fill in fills.items()
    }
    lengths = torch.tensor([len(example["input_ids"]) for example in examples])
    mask = (torch.arange(length) >= length - lengths[:, None]).long()
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    return {**padded, "attention_mask": mask, "position_ids": positions}


def taught_logprobs(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    taught: torch.Tensor,
    temperature: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logprobs of the labels in the columns that teach something, and the columns.

    Logits are the largest tensor by far: only columns in which a row is taught have any.

    Args:
        model: a causal language model.
        inputs: what it reads, (B, L).
        labels: (B, L) token ids, IGNORED for no target, whose logprob is then 0.
        taught: (B, L), other than 0 at the targets.
        temperature: of the distribution.

    Returns:
        (B, C) natural logprobs in float32, and the (C,) columns' places in 1 .. L - 1, less 1.
    """
    (columns,) = taught[:, 1:].any(dim=0).nonzero(as_tuple=True)
    logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits
    targets = labels[:, 1:][:, columns]
    if temperature != 1.0:
        logits = logits.float() / temperature
    nll = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return -nll.view(targets.shape), columns
