"""Solvers of tasks that are things to drag: into boxes, into an order, to another size."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from agentgym_si.envs.miniwob_oracles_drawn import SHAPES
from agentgym_si.envs.miniwob_solving import (
    Recaller,
    Solver,
    choose,
    drag,
    find,
    place,
    quoted,
    said,
    size,
    submit,
)
from agentgym_si.envs.web.snapshot import Element, Page

TURN, TURN_UP = range(10, 151, 28), range(190, 49, -28)
"""Pixels that the mouse goes over, button held, to turn a cube by a third of a side a step."""

GRID_WIDTH = 3
PLACES = {"top": 0, "bottom": 2, "left": 0, "right": 2}
MOVES = {"up": -1, "down": 1, "left": -1, "right": 1}


def drag_items(page: Page, actions: tuple[str, ...]) -> str:
    """Drag the item onto the one whose place it is to take."""
    name, where = said(page, r"Drag (.+?) (?:to the )?((?:top|bottom|up|down|\d).*)")
    items = choose(page, "text")
    start = items.index(find(page, "text", name=name))
    number = re.match(r"\d+", where)
    ends = {"top": 0, "bottom": len(items) - 1, "up": start - 1, "down": start + 1}
    end = int(number[0]) - 1 if number else ends[where.split()[0].rstrip(".")]
    return _onto(items[start], items[end])


def drag_items_grid(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
    """Take the item across to the column of its cell, then up or down into it, and let go."""
    page = pages[0]
    name, where = said(page, r"Drag (.+?) (to the .*|\w+ by one)")
    items = choose(page, "text")
    start = items.index(find(page, "text", name=name))
    row, column = divmod(start, GRID_WIDTH)
    words = re.findall(r"top|bottom|left|right|up|down", where)
    if where.startswith("to the"):
        row = next((PLACES[word] for word in words if word in ("top", "bottom")), 1)
        column = next((PLACES[word] for word in words if word in ("left", "right")), 1)
    elif words[0] in ("up", "down"):
        row += MOVES[words[0]]
    else:
        column += MOVES[words[0]]
    item, other = items[start], items[GRID_WIDTH * row + column]
    (x, y), (across, down) = place(item), _beyond(item, other)
    steps = [f"mouse_down({x:g}, {y:g})", f"mouse_move({across:g}, {y:g})"]
    steps += [f"mouse_move({across:g}, {down:g})"] if down != y else []
    return [*steps, f"mouse_up({across:g}, {down:g})"][len(actions)]


def drag_sort_numbers(page: Page, actions: tuple[str, ...]) -> str:
    """Drag the least number that is too far down up to its place."""
    items = choose(page, "text")
    ordered = sorted(items, key=lambda item: int(item.name))
    for item, wanted in zip(items, ordered, strict=True):
        if item.name != wanted.name:
            return _onto(wanted, item)
    return submit(page)


def drag_shapes_2(page: Page, actions: tuple[str, ...]) -> str:
    """Drag what is asked for into the left box, all else into the right one."""
    wanted = said(page, r"all (\w+?)s? (?:shapes )?into the left")[0]
    figures = choose(page, *SHAPES)
    boxes = sorted(figures, key=lambda figure: size(figure)[0])[-2:]
    left, right = sorted(boxes, key=lambda box: place(box)[0])
    for figure in figures:
        box = left if wanted in (figure.role, figure.looks.get("color")) else right
        if figure not in boxes and not _inside(figure, box):
            return drag(place(figure), place(box))
    return submit(page)


def drag_shapes(page: Page, actions: tuple[str, ...]) -> str:
    """Drag all shapes of the kind into the black box."""
    kind = said(page, r"all (\w+)s into")[0]
    box = max(choose(page, *SHAPES), key=lambda shape: size(shape)[0])
    for shape in choose(page, kind):
        if shape is not box and not _inside(shape, box):
            return drag(place(shape), place(box))
    return submit(page)


def drag_circle(page: Page, actions: tuple[str, ...]) -> str:
    """Drag the shape a little in the direction."""
    if actions:
        return submit(page)
    moves = {"left": (-15, 0), "right": (15, 0), "up": (0, -15), "down": (0, 15)}
    across, down = moves[said(page, r"(left|right|up|down)")[0]]
    x, y = place(choose(page, *SHAPES)[0])
    return drag((x, y), (x + across, y + down))


def drag_box(page: Page, actions: tuple[str, ...]) -> str:
    """Drag the small box onto the large one."""
    if actions:
        return submit(page)
    small, large = find(page, "clickable", name="s"), find(page, "clickable", name="L")
    return drag(place(small), place(large))


def drag_cube(page: Page, actions: tuple[str, ...]) -> str:
    """Turn the cube, up for side 1 and across for the others, until the side faces the user."""
    wanted = quoted(page)
    facing = next(side.name for side in choose(page, "text") if side.looks)
    held = len([a for a in actions if "down" in a]) > len([a for a in actions if "up" in a])
    if facing == wanted:
        return actions[-1].replace("move", "up").replace("down", "up") if held else submit(page)
    points = [f"(80, {y})" for y in TURN_UP] if wanted == "1" else [f"({x}, 130)" for x in TURN]
    turn = [f"mouse_move{points[0]}", f"mouse_down{points[0]}"]
    turn += [*(f"mouse_move{point}" for point in points[1:]), f"mouse_up{points[-1]}"]
    return turn[len(actions) % len(turn)]


def resize_textarea(page: Page, actions: tuple[str, ...]) -> str:
    """Drag the textarea's corner."""
    if actions:
        return submit(page)
    x, y = place(find(page, "clickable", name="ui-resizable-se"))
    by = -12 if "smaller" in page.goal else 12
    return drag((x, y), (x + by, y + by))


def _onto(item: Element, other: Element) -> str:
    return drag(place(item), _beyond(item, other))


def _beyond(item: Element, other: Element) -> tuple[float, float]:
    """Return the point just beyond the middle of another item, where it makes room for this one."""
    (x, y), (end_x, end_y), (width, height) = place(item), place(other), size(other)
    across = math.copysign(width / 4, end_x - x) if end_x != x else 0.0
    down = math.copysign(height / 4, end_y - y) if end_y != y else 0.0
    return end_x + across, end_y + down


def _inside(figure: Element, box: Element) -> bool:
    (x, y), (left, top), (width, height) = place(figure), place(box), size(box)
    return abs(x - left) < width / 2 and abs(y - top) < height / 2


DRAGS: dict[str, Solver] = {
    "drag-box": drag_box,
    "drag-circle": drag_circle,
    "drag-cube": drag_cube,
    "drag-items": drag_items,
    "drag-shapes": drag_shapes,
    "drag-shapes-2": drag_shapes_2,
    "drag-single-shape": drag_circle,
    "drag-sort-numbers": drag_sort_numbers,
    "resize-textarea": resize_textarea,
}

GRID_DRAGS: dict[str, Recaller] = {"drag-items-grid": drag_items_grid}
