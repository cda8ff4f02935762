"""Solvers of tasks of points and lines: the middle, the right angle, the line, what moves.

A page draws a clicked point two pixels right of and below the click; scores are measured from the
corners of the drawn circles, so the best pixel is worked out with the page's own formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agentgym_si.envs.miniwob_solving import (
    Solver,
    choose,
    drag,
    find,
    mouse_click,
    place,
    said,
    size,
    submit,
)
from agentgym_si.envs.web.snapshot import Element, Page

Point = tuple[float, float]
Floats = NDArray[np.float64]

DRAWN_OFF = 2
"""Pixels from a click to the middle of the circle it draws, across and down."""

EDGE = 1
"""Pixels left free at the edges of a drawing."""


def bisect_angle(page: Page, actions: tuple[str, ...]) -> str:
    """Click the pixel whose line halves the angle best, then submit."""
    if actions:
        return submit(page)
    corner = place(_circle(page, "blue"))
    first, second = (place(circle) for circle in choose(page, "circle") if _is(circle, "black"))

    def wider(pixels: Floats) -> Floats:
        return np.maximum(_angles(first, corner, pixels), _angles(second, corner, pixels))

    return _click_best(page, wider)


def right_angle(page: Page, actions: tuple[str, ...]) -> str:
    """Click the pixel whose angle is nearest to a right one; its circle is half a pixel smaller."""
    if actions:
        return submit(page)
    corner, arm = place(_circle(page, "blue")), place(_circle(page, "black"))

    def off(pixels: Floats) -> Floats:
        return np.abs(_angles(arm, corner, pixels + 0.5) - math.pi / 2)

    return _click_best(page, off)


def find_midpoint(page: Page, actions: tuple[str, ...]) -> str:
    """Click the pixel nearest to the middle of the two points."""
    if actions:
        return submit(page)
    (left, top), (right, bottom) = (place(circle) for circle in choose(page, "circle"))
    return mouse_click((left + right) // 2 - DRAWN_OFF, (top + bottom) // 2 - DRAWN_OFF)


def circle_center(page: Page, actions: tuple[str, ...]) -> str:
    """Click the middle of the circle."""
    if actions:
        return submit(page)
    x, y = place(find(page, "circle"))
    return mouse_click(x - DRAWN_OFF, y - DRAWN_OFF)


def draw_line(page: Page, actions: tuple[str, ...]) -> str:
    """Drag through the dot, across or down."""
    if actions:
        return submit(page)
    x, y = place(find(page, "circle"))
    half = 17
    across, down = (half, 0) if "horizontal" in page.goal else (0, half)
    x, y = x - DRAWN_OFF, y - DRAWN_OFF
    return drag((x - across, y - down), (x + across, y + down))


def draw_circle(page: Page, actions: tuple[str, ...]) -> str:
    """Press the mouse on a circle around the point, move round it, let go."""
    x, y = place(min(choose(page, "circle"), key=lambda circle: size(circle)[0]))
    corners, radius = 12, 20

    def at(corner: int) -> str:
        angle = 2 * math.pi * corner / corners
        return f"({x + radius * math.cos(angle):.1f}, {y + radius * math.sin(angle):.1f})"

    if len(actions) <= corners:
        return f"mouse_move{at(len(actions))}" if actions else f"mouse_down{at(0)}"
    return f"mouse_up{at(0)}" if len(actions) == corners + 1 else submit(page)


def moving_items(page: Page, actions: tuple[str, ...]) -> str:
    """Click each circle where it is, at rest beyond the edge or on its way; then wait."""
    circles = choose(page, "circle")
    if not circles:
        return "noop()"
    left, top, right, bottom = _edges(page)
    x, y = place(circles[0])
    return mouse_click(min(max(x, left), right), min(max(y, top), bottom))


def visual_addition(page: Page, actions: tuple[str, ...]) -> str:
    """Count the blocks."""
    box, count = find(page, "textbox"), str(len(choose(page, "rectangle")))
    return submit(page) if box.value == count else f"fill('{box.id}', '{count}')"


def count_sides(page: Page, actions: tuple[str, ...]) -> str:
    """Count the corners; the path ends where it began."""
    corners = set(find(page, "drawing").looks["points"].split(";"))
    return submit(page, str(len(corners)))


def daily_calendar(page: Page, actions: tuple[str, ...]) -> str:
    """Drag over half hours of the window that no event covers, name the event, create it."""
    name = choose(page, "textbox")
    event = said(page, r'named "(.*)"')[0]
    if name:
        return submit(page, "Create") if name[0].value == event else _name(name[0], event)
    amount, unit = said(page, r"Create a ([\d.]+) (min|hour)")
    length = round(float(amount) * (1 / 30 if unit == "min" else 2))
    begin, end = (_half_hour(time) for time in said(page, r"between (\w+) and (\w+)"))
    taken = [text for text in choose(page, "text") if text.looks]
    slots = choose(page, "clickable", name="half-hour")[begin:end]
    runs = [slots[at : at + length] for at in range(len(slots) - length + 1)]
    run = next(run for run in runs if not any(_covers(one, slot) for one in taken for slot in run))
    if not actions:
        return f"hover('{run[0].id}')"
    (x, first), (_, last) = place(run[0]), place(run[-1])
    return drag((x, first - 4), (x, last + 4))


def _name(box: Element, event: str) -> str:
    return f"fill('{box.id}', {event!r})"


def _half_hour(time: str) -> int:
    hour, noon = int(time[:-2]) % 12, time.endswith("PM")
    return 2 * (hour + 12 * noon)


def _covers(event: Element, slot: Element) -> bool:
    return abs(place(event)[1] - place(slot)[1]) < size(event)[1] / 2


def _is(element: Element, colour: str) -> bool:
    return element.looks.get("color") == colour


def _circle(page: Page, colour: str) -> Element:
    return next(circle for circle in choose(page, "circle") if _is(circle, colour))


def _edges(page: Page) -> tuple[float, float, float, float]:
    """Return the drawing's left, top, right and bottom pixels that can be clicked."""
    drawing = find(page, "drawing")
    (x, y), (width, height) = place(drawing), size(drawing)
    return (
        x - width // 2 + EDGE,
        y - height // 2 + EDGE,
        x + width // 2 - EDGE,
        y + height // 2 - EDGE,
    )


def _angles(one: Point, corner: Point, pixels: Floats) -> Floats:
    """Return the angles (P,) in radians at the corner, from one point to each pixel (P, 2)."""
    start = math.atan2(one[1] - corner[1], one[0] - corner[0])
    turns = np.abs(np.arctan2(*(pixels - corner).T[::-1]) - start)
    return np.where((pixels == corner).all(axis=1), math.pi, np.minimum(turns, 2 * math.pi - turns))


def _click_best(page: Page, cost: Callable[[Floats], Floats]) -> str:
    """Click so that the circle is drawn at the pixel of least cost."""
    left, top, right, bottom = _edges(page)
    across, down = np.arange(left + DRAWN_OFF, right), np.arange(top + DRAWN_OFF, bottom)
    pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)  # (P, 2)
    x, y = pixels[np.argmin(cost(pixels))]
    return mouse_click(x - DRAWN_OFF, y - DRAWN_OFF)


POINTS: dict[str, Solver] = {
    "bisect-angle": bisect_angle,
    "circle-center": circle_center,
    "count-sides": count_sides,
    "daily-calendar": daily_calendar,
    "draw-circle": draw_circle,
    "draw-line": draw_line,
    "find-midpoint": find_midpoint,
    "moving-items": moving_items,
    "right-angle": right_angle,
    "visual-addition": visual_addition,
}
