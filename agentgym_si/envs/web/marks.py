"""Set-of-marks: each element's box and id drawn onto a screenshot, never onto the page.

"Set-of-Mark Prompting Unleashes Extraordinary Visual Grounding in GPT-4V" (Yang et al., 2023)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from agentgym_si.envs.web.snapshot import Element

COLOURS = (
    (214, 39, 40),
    (31, 119, 180),
    (44, 160, 44),
    (148, 103, 189),
    (191, 95, 0),
    (23, 130, 145),
)
WHITE = (255, 255, 255)

_ROWS = (
    ("111", "101", "101", "101", "111"),
    ("010", "110", "010", "010", "111"),
    ("111", "001", "111", "100", "111"),
    ("111", "001", "111", "001", "111"),
    ("101", "101", "111", "001", "001"),
    ("111", "100", "111", "001", "111"),
    ("111", "100", "111", "101", "111"),
    ("111", "001", "010", "010", "010"),
    ("111", "101", "111", "101", "111"),
    ("111", "101", "111", "001", "111"),
)
DIGITS = np.array([[[int(bit) for bit in row] for row in digit] for digit in _ROWS], dtype=bool)
"""(10, 5, 3): a digit's pixels."""


def draw_marks(picture: NDArray[np.uint8], elements: Iterable[Element]) -> None:
    """Draw into a (height, width, 3) picture a box and the id of each element that has a `box`.

    Texts are left out: nothing is done to them.
    """
    for element in elements:
        place = element.looks.get("box")
        if place is not None and element.role != "text":
            left, top, width, height = map(int, place.split(","))
            colour = COLOURS[element.id % len(COLOURS)]
            _outline(picture, left, top, left + width, top + height, colour)
            _label(picture, left, top, str(element.id), colour)


def _outline(
    picture: NDArray[np.uint8],
    left: int,
    top: int,
    right: int,
    bottom: int,
    colour: tuple[int, ...],
) -> None:
    across = slice(max(left, 0), max(right, 0))
    down = slice(max(top, 0), max(bottom, 0))
    for row in (top, bottom - 1):
        if 0 <= row < picture.shape[0]:
            picture[row, across] = colour
    for column in (left, right - 1):
        if 0 <= column < picture.shape[1]:
            picture[down, column] = colour


def _label(
    picture: NDArray[np.uint8], left: int, top: int, number: str, colour: tuple[int, ...]
) -> None:
    """Write a number in white on the box's colour, at its top left corner, inside the picture."""
    plate = np.zeros((7, 4 * len(number) + 1, 3), np.uint8)
    plate[:] = colour
    for place, digit in enumerate(number):
        at = 1 + 4 * place
        plate[1:6, at : at + 3][DIGITS[int(digit)]] = WHITE
    height, width = picture.shape[:2]
    row = min(max(top, 0), max(height - plate.shape[0], 0))
    column = min(max(left, 0), max(width - plate.shape[1], 0))
    part = picture[row : row + plate.shape[0], column : column + plate.shape[1]]
    part[:] = plate[: part.shape[0], : part.shape[1]]
