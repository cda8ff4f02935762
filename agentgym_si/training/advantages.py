"""Who gets the credit: rewards to the weights of tokens.

NaN is the reward of an episode whose box failed: it is in no mean and gets no weight.
Letters: P tasks, G episodes of one task, K turns, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from agentgym_si.errors import BadInput

Floats = npt.NDArray[np.float64]


def group_advantages(
    rewards: npt.ArrayLike,
    *,
    scale: Literal["deviation", "none"] = "deviation",
    sample: bool = True,
    epsilon: float = 1e-4,
) -> Floats:
    """Return (P, G) rewards less their group's mean: GRPO (arXiv 2402.03300).

    A group of equal rewards has nothing to learn from: 0.

    Args:
        rewards: (P, G) returns, NaN for a failed box.
        scale: "deviation" divides by the group's; "none" does not (Dr. GRPO, arXiv 2503.20783).
        sample: whether the deviation is that of a sample, divided by G - 1, as TRL's is.
        epsilon: added to the deviation, as TRL does.
    """
    values = np.asarray(rewards, dtype=np.float64)
    if values.ndim != 2:
        raise BadInput(f"expected rewards of shape (P, G), got {values.shape}")
    known = ~np.isnan(values)
    count = known.sum(1, keepdims=True)
    mean = np.where(known, values, 0.0).sum(1, keepdims=True) / np.maximum(count, 1)
    centred = np.where(known, values - mean, 0.0)
    if scale == "none":
        return centred
    deviation = np.sqrt((centred**2).sum(1, keepdims=True) / np.maximum(count - sample, 1))
    advantages: Floats = centred / np.where(deviation > 0, deviation + epsilon, 1.0)
    return advantages


def step_advantages(values: npt.ArrayLike, chosen: npt.ArrayLike) -> Floats:
    """Return (K,) advantages of steps: value of the action taken, less the state's own value.

    "RL on incorrect synthetic data" (arXiv 2406.14532): both are estimated by rollouts, so that a
    wrong step in a lucky episode is unlearned and a right one in an unlucky episode is kept.

    Args:
        values: (K,) mean return of rollouts from the state before each step.
        chosen: (K,) mean return of rollouts from after it.
    """
    before, after = np.asarray(values, np.float64), np.asarray(chosen, np.float64)
    if before.shape != after.shape:
        raise BadInput(f"expected values and chosen alike, got {before.shape} and {after.shape}")
    return after - before


def turn_credit(rewards: npt.ArrayLike, *, bonus: float = 10.0) -> Floats:
    """Return (…, K) credits of K attempts at one task: SCoRe (arXiv 2409.12917), stage II.

    Attempt k is credited with its own reward and with `bonus` x its gain over the one before. The
    bonus belongs to the later attempt alone: credited to the whole episode it pays for failing
    first.

    Args:
        rewards: (…, K) reward of each attempt.
        bonus: the paper's alpha.
    """
    earned = np.asarray(rewards, dtype=np.float64)
    gain = np.diff(earned, axis=-1, prepend=earned[..., :1])
    return earned + bonus * gain


def spread(per_turn: Sequence[float], turns: Sequence[int | None]) -> tuple[float, ...]:
    """Return a weight a token: that of its turn; 0 for tokens of no turn (tool results).

    Args:
        per_turn: (K,) credits.
        turns: (T,) the turn each token belongs to, None for a token the policy did not say.
    """
    return tuple(0.0 if turn is None else float(per_turn[turn]) for turn in turns)
