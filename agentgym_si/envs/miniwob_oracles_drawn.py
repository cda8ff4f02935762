"""Solvers of tasks that are drawn: colours, shapes, sliders."""

from __future__ import annotations

import colorsys
import re

from agentgym_si.envs.miniwob_solving import (
    Solver,
    choose,
    click,
    find,
    ordinal,
    place,
    quoted,
    said,
    size,
    submit,
)
from agentgym_si.envs.web.snapshot import Element, Page

SHAPES = ("circle", "rectangle", "triangle")


def click_color(page: Page, actions: tuple[str, ...]) -> str:
    """Click the box of the colour."""
    wanted = said(page, r"the \[?(\w+)\]? colored")[0]
    return click(next(box for box in page.elements if box.looks.get("color") == wanted))


def click_shades(page: Page, actions: tuple[str, ...]) -> str:
    """Select all boxes whose hue is that of the colour."""
    hue = {"red": 0.0, "green": 1 / 3, "blue": 2 / 3}[said(page, r"shades of (\w+)")[0]]
    for box in choose(page, "clickable"):
        code = box.looks["color"]
        rgb = [int(code[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        apart = abs(colorsys.rgb_to_hsv(*rgb)[0] - hue)
        if min(apart, 1 - apart) < 1 / 6 and "selected" not in box.states:
            return click(box)
    return submit(page)


def fits(element: Element, description: str) -> bool:
    """Say whether a shape, letter or digit is what `large red circle` describes."""
    name = element.name if element.role == "text" else element.role
    kind = "shape" if element.role in SHAPES else "digit" if name.isdigit() else "letter"
    for word in description.split():
        if word in ("large", "small"):
            if (size(element)[1] > 15) != (word == "large"):
                return False
        elif word in ("shape", "digit", "letter", "item"):
            if word not in (kind, "item"):
                return False
        elif word not in (name, element.looks.get("color")):
            return False
    return True


def click_shape(page: Page, actions: tuple[str, ...]) -> str:
    """Click a shape that fits the description."""
    wanted = said(page, r"Click on an? (.*)")[0]
    return click(next(one for one in choose(page, "text", *SHAPES) if fits(one, wanted)))


def count_shape(page: Page, actions: tuple[str, ...]) -> str:
    """Count what fits the description."""
    wanted = said(page, r"How many (.*) are there")[0]
    single = re.sub(r"(\w+)s$", r"\1", wanted)
    count = sum(fits(one, single) for one in choose(page, "text", *SHAPES))
    return click(find(page, "button", name=str(count)))


def identify_shape(page: Page, actions: tuple[str, ...]) -> str:
    """Say what the one figure is."""
    figure = choose(page, "text", *SHAPES)[0]
    if figure.role == "text":
        return submit(page, "Number" if figure.name.isdigit() else "Letter")
    return submit(page, figure.role.capitalize())


def move_slider(handle: Element, difference: int, coarse: int) -> str:
    """Press the key that brings a slider's value nearer: a page where it is farther than that."""
    key = "Page" if abs(difference) > coarse else "Arrow"
    ways = {"Page": ("Down", "Up"), "Arrow": ("Left", "Right")}[key]
    return f"press('{handle.id}', '{key}{ways[difference > 0]}')"


def use_slider(page: Page, actions: tuple[str, ...]) -> str:
    """Move each slider by keys to its value; a page is a fifth of its range of up to 100."""
    wanted = [int(number) for number in re.findall(r"-?\d+", page.goal)]
    handles = choose(page, "clickable")
    values = [int(value.name) for value in choose(page, "text")]
    for handle, value, target in zip(handles, values, wanted, strict=True):
        if value != target:
            return move_slider(handle, target - value, 10 if len(wanted) == 1 else 2)
    return submit(page)


def form_sequence(page: Page, actions: tuple[str, ...]) -> str:
    """Move the slider, check the nth box, submit."""
    target = int(said(page, r"Select (-?\d+) with")[0])
    value = int(choose(page, "text")[0].name)
    if value != target:
        return move_slider(find(page, "clickable"), target - value, 2)
    box = choose(page, "checkbox")[ordinal(page)]
    return submit(page) if "checked" in box.states else click(box)


def grid_coordinate(page: Page, actions: tuple[str, ...]) -> str:
    """Click the point; the middle of all is (0, 0), and up is positive."""
    x, y = (int(number) for number in said(page, r"\((-?\d+),(-?\d+)\)"))
    points = choose(page, "circle")
    across = sorted({place(point)[0] for point in points})
    down = sorted({place(point)[1] for point in points})
    return click(next(one for one in points if place(one) == (across[x + 2], down[2 - y])))


def click_pie(page: Page, actions: tuple[str, ...]) -> str:
    """Open the pie and click its slice."""
    slices = choose(page, "text", name=quoted(page))
    return click(slices[0] if slices else find(page, "text", name="+"))


DRAWN: dict[str, Solver] = {
    "click-pie": click_pie,
    "form-sequence": form_sequence,
    "grid-coordinate": grid_coordinate,
    "click-color": click_color,
    "click-shades": click_shades,
    "click-shape": click_shape,
    "count-shape": count_shape,
    "identify-shape": identify_shape,
    "use-slider": use_slider,
    "use-slider-2": use_slider,
}
