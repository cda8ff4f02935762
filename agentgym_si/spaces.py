"""`FreeText`: any string up to a length, as a Gymnasium space.

`gymnasium.spaces.Text` checks every character against a set (0.1 ms per 1,000 characters) and
rejects spaces and punctuation by default; pages and programs need neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import Space


class FreeText(Space[str]):
    """Every string of at most `max_length` characters.

    Args:
        max_length: longest member, in characters.
        examples: strings that `sample` draws from; a space of actions gives legal ones.
        seed: seed of the space's own generator.
    """

    def __init__(
        self,
        max_length: int = 1 << 20,
        *,
        examples: Sequence[str] = ("", "noop()", "hello"),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        """Make the space; raises ValueError where an example is no member."""
        if max_length < 1:
            raise ValueError(f"expected max_length of at least 1, got {max_length}")
        if not examples or any(len(example) > max_length for example in examples):
            raise ValueError(f"expected examples of at most {max_length} characters")
        self.max_length = max_length
        self.examples = tuple(examples)
        super().__init__((), str, seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: text has no array form."""
        return False

    def sample(self, mask: None = None, probability: None = None) -> str:
        """Draw one of the examples with the space's own generator."""
        if mask is not None or probability is not None:
            raise ValueError("FreeText.sample takes neither mask nor probability")
        return self.examples[int(self.np_random.integers(len(self.examples)))]

    def contains(self, x: Any) -> bool:
        """Say whether `x` is a string of at most `max_length` characters."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __eq__(self, other: object) -> bool:
        """Equal where the same strings are members and samples."""
        return (
            isinstance(other, FreeText)
            and self.max_length == other.max_length
            and self.examples == other.examples
        )

    __hash__ = None  # type: ignore[assignment]  # mutable generator: not hashable, as in Gymnasium

    def __repr__(self) -> str:
        """Show the length limit."""
        return f"FreeText({self.max_length})"

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Return the strings themselves."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        """Return the strings themselves."""
        return [str(sample) for sample in sample_n]
