"""Marks on a screenshot: a frame, a plate with the number, nothing else, and never outside."""

from __future__ import annotations

import numpy as np

from agentgym_si.envs.web.marks import COLOURS, WHITE, draw_marks
from agentgym_si.envs.web.snapshot import Element


def canvas(height: int = 24, width: int = 40) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


def marked(picture: np.ndarray) -> list[str]:
    """Return the picture's rows: `#` white, `o` a mark's colour, `.` what was there."""
    white = (picture == WHITE).all(axis=2)
    plain = (picture == 200).all(axis=2)
    return ["".join(row) for row in np.where(white, "#", np.where(plain, ".", "o"))]


def test_a_mark_is_a_frame_and_a_number_pixel_by_pixel() -> None:
    picture = canvas(10, 14)
    draw_marks(picture, [Element(12, "button", looks={"box": "1,1,12,8"})])
    assert marked(picture) == [
        "..............",
        ".oooooooooooo.",
        ".oo#oo###o..o.",
        ".o##oooo#o..o.",
        ".oo#oo###o..o.",
        ".oo#oo#ooo..o.",
        ".o###o###o..o.",
        ".ooooooooo..o.",
        ".oooooooooooo.",
        "..............",
    ]
    assert picture[1, 1].tolist() == list(COLOURS[12 % len(COLOURS)])


def test_texts_and_what_has_no_box_are_left_alone() -> None:
    picture = canvas()
    draw_marks(picture, [Element(1, "text", looks={"box": "2,2,9,9"}), Element(2, "button")])
    assert (picture == canvas()).all()


def test_what_stands_partly_or_wholly_outside_is_cut_not_wrapped() -> None:
    """A negative place counted from the picture's other end."""
    picture = canvas()
    draw_marks(picture, [Element(3, "link", looks={"box": "-8,-6,20,12"})])
    assert (picture[6:, 12:] == 200).all()
    assert (picture[-12:, -20:] == 200).all()
    assert marked(picture)[5] == "o###oooooooo" + "." * 28
    picture = canvas()
    draw_marks(picture, [Element(3, "link", looks={"box": "36,20,20,12"})])
    assert (picture[:17] == 200).all() and (picture[:, :35] == 200).all()
    picture = canvas(4, 3)
    draw_marks(picture, [Element(123, "link", looks={"box": "500,-900,20,12"})])
    assert picture.shape == (4, 3, 3)
