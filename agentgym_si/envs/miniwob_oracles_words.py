"""Solvers of tasks that need to know something: synonyms, colours, icons, how words are marked."""

from __future__ import annotations

import ast
import functools
import re

from agentgym_si.envs.miniwob_solving import (
    Solver,
    choose,
    click,
    drag,
    fill,
    find,
    place,
    said,
    size,
    submit,
    tick,
)
from agentgym_si.envs.web.pages import miniwob_folder
from agentgym_si.envs.web.snapshot import Page, quoted_words

COLOURS = {
    "black": "000000",
    "white": "FFFFFF",
    "aqua": "00FFFF",
    "blue": "0000FF",
    "gray": "808080",
    "green": "008000",
    "lime": "00FF00",
    "maroon": "800000",
    "navy": "000080",
    "olive": "808000",
    "purple": "800080",
    "red": "FF0000",
    "silver": "C0C0C0",
    "teal": "008080",
    "yellow": "FFFF00",
    "pink": "FFC0CB",
    "magenta": "FF00FF",
    "gold": "FFD700",
    "orange": "FFA500",
}
"""CSS's own."""

ICONS = {
    "disk": "Save",
    "seek-start": "Prev",
    "stop": "Stop",
    "play": "Play",
    "seek-end": "Next",
    "zoomin": "Zoom In",
    "zoomout": "Zoom Out",
}
"""The item that each icon stands for."""

SWATCHES = {
    "red": "#e60000",
    "orange": "#ff9900",
    "yellow": "yellow",
    "green": "#008a00",
    "blue": "#0066cc",
    "purple": "#9933ff",
}
"""How the editor's plain colours are shown."""

STYLES = {"bold": "ql-bold", "italics": "ql-italic", "underlined": "ql-underline"}


@functools.cache
def synonyms() -> tuple[frozenset[str], ...]:
    """Return groups of words of one meaning, from the page's own list: which words are alike."""
    page = (miniwob_folder() / "click-checkboxes-soft.html").read_text(encoding="utf-8")
    listed = re.search(r"var SYNONYMS = (\[.*?\n\]);", page, re.DOTALL)
    assert listed is not None
    return tuple(frozenset(group) for group in ast.literal_eval(listed[1]))


def click_checkboxes_soft(page: Page, actions: tuple[str, ...]) -> str:
    """Check the box that means the same as each word."""
    words = said(page, r"similar to (.*) and click")[0].split(", ")
    alike = [group for word in words for group in synonyms() if word in group]
    names = [box.name for box in choose(page, "checkbox")]
    return tick(page, "checkbox", [name for name in names for group in alike if name in group])


def click_menu_2(page: Page, actions: tuple[str, ...]) -> str:
    """Open the menu, where needed the part that plays, and click the item or the icon's."""
    words = quoted_words(page.goal)
    wanted = words[1] if len(words) > 1 else ICONS[said(page, r"with the \[(.+?)\]")[0]]
    if not actions:
        return submit(page, "Menu")
    items = choose(page, "menuitem", name=wanted)
    return click(items[0]) if items else f"hover('{find(page, 'menuitem', name='Playback').id}')"


def use_colorwheel(page: Page, actions: tuple[str, ...]) -> str:
    """Type the colour's number."""
    shown = re.search(r"\[#(\w{6})\]", page.goal)
    wanted = shown[1].upper() if shown else COLOURS[said(page, r"Select (\w+)")[0]]
    box = find(page, "textbox")
    return submit(page) if box.value == wanted else fill(box, wanted)


def highlight_text(page: Page, actions: tuple[str, ...]) -> str:
    """Drag from the paragraph's first corner to its last."""
    if actions:
        return submit(page)
    nth = re.search(r"(\d)(?:st|nd|rd) paragraph", page.goal)
    paragraph = choose(page, "text")[int(nth[1]) - 1 if nth else 0]
    (x, y), (width, height) = place(paragraph), size(paragraph)
    across, down = width / 2 - 1, height / 2 - 3
    return drag((x - across, y - down), (x + across, y + down))


def text_editor(page: Page, actions: tuple[str, ...]) -> str:
    """Select everything, or the word by steps of the caret; then give it the style or colour."""
    editor = find(page, "textarea")
    what, kind, how = said(page, r"(everything|the text \S+) the (style |color )(\w+)")
    steps = [f"press('{editor.id}', 'Control+a')"]
    if what != "everything":
        before, word = (editor.value or "").split(what.split()[-1], 1)[0], what.split()[-1]
        steps = [f"press('{editor.id}', 'Control+Home')"]
        steps += ["keyboard_press('Control+ArrowRight')"] * _stops(before)
        steps += ["keyboard_press('Control+Shift+ArrowRight')"] * _stops(word)
    if len(actions) < len(steps):
        return steps[len(actions)]
    done = len(actions) - len(steps)
    if kind == "style " and done == 0:
        return click(find(page, "button", name=STYLES[how]))
    if kind == "color " and done == 0:
        return click(find(page, "clickable", name="ql-picker-label"))
    if kind == "color " and done == 1:
        swatches = choose(page, "clickable")
        return click(next(one for one in swatches if one.looks.get("color") == SWATCHES[how]))
    return submit(page)


def _stops(text: str) -> int:
    """Return how often the caret stops over a text: after each word, after each mark."""
    return len(re.findall(r"\w+|[^\w\s]+", text))


WORDS: dict[str, Solver] = {
    "click-checkboxes-soft": click_checkboxes_soft,
    "click-menu-2": click_menu_2,
    "highlight-text": highlight_text,
    "highlight-text-2": highlight_text,
    "text-editor": text_editor,
    "use-colorwheel": use_colorwheel,
    "use-colorwheel-2": use_colorwheel,
}
