"""Solvers of tasks in which what was seen before has to be remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agentgym_si.envs.miniwob_solving import (
    Recaller,
    choose,
    click,
    mouse_click,
    place,
    size,
    submit,
)
from agentgym_si.envs.web.snapshot import Page

BLINK_MILLISECONDS = 600
"""From one button's blink to the next."""

BANDS = {"HOT": (0, 5), "WARM": (5, 10), "COLD": (10, 40), "ICE COLD": (40, 1000)}
"""Pixels from the hot spot at which each word is shown."""

PROBE_PIXELS = 8
"""Distance between the points that are thought of to try."""

SPOTS_TRIED = 200
"""Possible hot spots, at most, that a point is weighed against."""

Floats = NDArray[np.float64]


def find_greatest(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
    """Turn each card, then the greatest again, and submit."""
    cards = choose(pages[0], "clickable")
    if len(actions) < len(cards):
        return click(cards[len(actions)])
    seen = [_shown_card(page) for page in pages[1 : len(cards) + 1]]
    greatest = cards[seen.index(max(seen))]
    return submit(pages[-1]) if actions[-1] == click(greatest) else click(greatest)


def _shown_card(page: Page) -> int:
    return next(int(card.name) for card in choose(page, "clickable") if card.name.isdigit())


def simon_says(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
    """Look once in each blink, then push the buttons in that order."""
    if not actions:
        return "noop(200)"  # the first look comes 500 ms after the start, the blink at 600
    pushed = [_pushed(page) for page in pages[1:]]
    if None not in pushed:
        return f"noop({BLINK_MILLISECONDS})"
    length = pushed.index(None)
    nth = pushed[len(actions) - length - 1]
    assert nth is not None
    return click(choose(pages[-1], "button")[nth])


def _pushed(page: Page) -> int | None:
    names = [button.name for button in choose(page, "button")]
    return names.index("push") if "push" in names else None


def hot_cold(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
    """Move to the point whose answer tells most of where the hot spot can be; click where it is."""
    area = choose(pages[0], "clickable")[0]
    (x, y), (width, height) = place(area), size(area)
    across = np.arange(x - width // 2 + 4, x + width // 2 - 3)
    down = np.arange(y - height // 2 + 4, y + height // 2 - 3)
    spots = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)  # (S, 2) pixels
    for action, page in zip(actions, pages[1:], strict=True):
        point = np.array([float(part) for part in re.findall(r"[\d.]+", action)])
        heat = next(one.name for one in choose(page, "clickable") if one.name in BANDS)
        if heat == "HOT":
            return mouse_click(*point)
        least, most = BANDS[heat]
        away = np.hypot(*(spots - point).T)
        spots = spots[(away >= least) & (away < most)]
    grid = np.stack(np.meshgrid(across[::PROBE_PIXELS], down[::PROBE_PIXELS]), -1).reshape(-1, 2)
    some = spots[:: max(1, len(spots) // SPOTS_TRIED)]
    probe = min((*some, *grid), key=lambda one: _largest_rest(some, one))
    return f"mouse_move({probe[0]:g}, {probe[1]:g})"


def _largest_rest(spots: Floats, probe: Floats) -> int:
    """Return how many spots are left where the answer at `probe` is the least telling one."""
    away = np.hypot(*(spots - probe).T)
    counts = [np.count_nonzero((away >= low) & (away < high)) for low, high in BANDS.values()]
    return max(int(count) for count in counts[1:])


RECALLED: dict[str, Recaller] = {
    "find-greatest": find_greatest,
    "hot-cold": hot_cold,
    "simon-says": simon_says,
}
