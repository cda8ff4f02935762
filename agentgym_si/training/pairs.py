"""Preferences as padded batches: both sides of B pairs as 2B weighted rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from agentgym_si.errors import BadInput
from agentgym_si.policies.batches import IGNORED, as_example, check_rows, pad_batch
from agentgym_si.types import Preference, Weighted

SIDES = ("chosen", "rejected")
REFERENCES = ("ref_chosen_logps", "ref_rejected_logps")
"""TRL's names of what the reference says."""


def pair_example(index: int, row: Preference, config: Any) -> dict[str, Any]:
    """Return both sides as rows of a batch, under the names of their side; raises BadInput."""
    example: dict[str, Any] = {"smoothing": row.smoothing}
    for side in SIDES:
        tokens = getattr(row, side)
        weights = getattr(row, f"{side}_weights") or (1.0,) * len(tokens)
        if min(weights, default=0.0) < 0 or not any(weights):
            raise BadInput(f"expected {side}_weights of at least 0, some above, in pair {index}")
        whole = Weighted(row.context, tokens, weights, origin=f"pair {index}, {side}")
        check_rows([whole], config)
        example |= {f"{side}_{name}": value for name, value in as_example(whole).items()}
    return example


@dataclass(frozen=True)
class PairCollator:
    """Pads B pairs to 2B rows: first all that were chosen, then all that were rejected."""

    pad: int
    """The id that fills rows up."""

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return (2B, L) tensors of the rows, and (B,) ones of the pairs."""
        fills = {"input_ids": self.pad, "labels": IGNORED, "weights": 0.0}
        rows = [
            {name: example[f"{side}_{name}"] for name in fills}
            for side in SIDES
            for example in examples
        ]
        numbers = ("smoothing", *(name for name in REFERENCES if name in examples[0]))
        columns = {name: torch.tensor([e[name] for e in examples]) for name in numbers}
        return {**pad_batch(rows, fills), **columns}
