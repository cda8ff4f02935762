"""MiniWoB++'s tasks: what counts as their full reward, and what text does not suffice for."""

from __future__ import annotations

from collections.abc import Mapping

FULL_REWARD: Mapping[str, float] = {
    "bisect-angle": 0.99,
    "circle-center": 0.97,
    "find-midpoint": 0.976,
    "moving-items": 0.999,
    "right-angle": 0.99,
}
"""The raw reward that counts as full where it is not 1.

A click is a whole pixel, and these pages measure to a point between pixels: the best pixel earns a
little less than 1. For circle-center and find-midpoint that is the nearest pixel and no other. For
moving-items it is 1 but for the rounding of ten sums.
"""

WITHOUT_ORACLE: Mapping[str, str] = {
    "chase-circle": "the full reward needs the pointer inside the circle at every moment from the "
    "first on; the circle moves while a step passes",
    "click-pie-nodelay": "where the item asked for is the one selected at first, the page redraws "
    "it under the pointer and no click reaches it (one seed in four to eight)",
    "hover-shape": "the page's own scorer is switched off: it never ends an episode with a reward",
    "number-checkboxes": "the example to copy is a picture",
    "tic-tac-toe": "a game: against an opponent that may block, no play wins for certain",
}
"""Tasks that no oracle solves from the text at every seed, each with the reason."""
