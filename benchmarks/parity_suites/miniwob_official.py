"""MiniWoB++'s own environment (Farama's `miniwob`, on Selenium), given what a pointer and keys do.

"Reinforcement Learning on Web Interfaces using Workflow-Guided Exploration" (Liu et al., 2018)
"""

from __future__ import annotations

import os
import shutil
import time
from typing import Any, NamedTuple

from agentgym_si.errors import MissingDependency

INSTALL = (
    "the official environment needs chromedriver beside Chromium, of one version: "
    "apt-get install chromium chromium-driver, or set both MINIWOB_CHROME_BINARY and "
    "MINIWOB_CHROMEDRIVER"
)

KEYS = {"Control": "C-", "Shift": "S-", "Alt": "A-", "Meta": "M-"}
"""The official names of modifier keys."""

POINTED = ("move", "click", "dblclick", "down", "up")

PARTS = "document.body.querySelectorAll('*')"

FIND = f"""
const find = (part, across, down) => {{
  const e = {PARTS}[part];
  const at = () => {{
    const box = e.getBoundingClientRect();
    return [box.left + across * box.width, box.top + down * box.height];
  }};
  const hit = document.elementFromPoint(...at());
  if (!e.contains(hit))
    e.scrollIntoView({{block: 'center', inline: 'nearest', behavior: 'instant'}});
  return at();
}};
"""

POLL_SECONDS = 0.05

LONGEST_EPISODE = 2**31 - 1
"""Milliseconds; the page's own limit is none of what is compared."""


class Spot(NamedTuple):
    """A point of a page, by the element that is there: text is not everywhere set alike."""

    part: int = -1
    """The element's number in `document.body`; -1 for none."""
    x: float = 0.0
    y: float = 0.0
    across: float = 0.0
    """From the element's left side, as share of its width."""
    down: float = 0.0


class Event(NamedTuple):
    """One thing that is done to a page."""

    kind: str
    """"move", "click", "dblclick", "down", "up"; "key", "type"; "wait"; "script"."""
    spot: Spot = Spot()
    text: str = ""
    """The key, the text typed, or the script, in which `e` is the element of the spot."""
    seconds: float = 0.0


class Verdict(NamedTuple):
    """What an environment says at the end; `raw_reward` is 0 while nothing is decided."""

    over: bool
    raw_reward: float


class Official:
    """One Chrome that plays all tasks, each episode on a page that has just been loaded."""

    def __init__(self) -> None:
        """Start it. Raises MissingDependency, which says what to install."""
        driver = os.environ.get("MINIWOB_CHROMEDRIVER") or shutil.which("chromedriver")
        chromium = os.environ.get("MINIWOB_CHROME_BINARY") or shutil.which("chromium")
        if driver is None or chromium is None:
            raise MissingDependency(INSTALL)
        os.environ |= {"MINIWOB_CHROMEDRIVER": driver, "MINIWOB_CHROME_BINARY": chromium}
        from miniwob.action import ActionSpaceConfig, ActionTypes
        from miniwob.environment import MiniWoBEnvironment

        self._names = {
            "move": ActionTypes.MOVE_COORDS,
            "click": ActionTypes.CLICK_COORDS,
            "dblclick": ActionTypes.DBLCLICK_COORDS,
            "down": ActionTypes.MOUSEDOWN_COORDS,
            "up": ActionTypes.MOUSEUP_COORDS,
            "key": ActionTypes.PRESS_KEY,
            "type": ActionTypes.TYPE_TEXT,
        }
        self._keys = ["<Enter>"]
        self._actions = ActionSpaceConfig(
            action_types=[ActionTypes.NONE, *self._names.values()], allowed_keys=self._keys
        )
        self._env = MiniWoBEnvironment(
            "click-test",
            action_space_config=self._actions,
            field_extractor=_no_fields,  # of use to a kind of action that is none of ours
            data_mode="default",
            refresh_freq=1,  # every episode on a fresh page, as ours are
        )
        self._base = self._env.instance.url.removesuffix("click-test.html")

    def begin(self, task: str, seed: int) -> str:
        """Begin an episode; return its goal as the page says it."""
        self._env.instance.url = f"{self._base}{task}.html"
        observation, _ = self._env.reset(seed=seed, options={"record_screenshots": False})
        self.ask(
            f"clearTimeout(core.EP_TIMER); core.EP_TIMER = setTimeout(() => 0, {LONGEST_EPISODE})"
        )
        return str(observation["utterance"])

    def do(self, event: Event) -> None:
        """Do one thing to the page; by script only what its action language has no word for."""
        if event.kind == "script":
            self.ask(f"const e = {PARTS}[{event.spot.part}]; {event.text}")
        elif event.kind == "wait":
            time.sleep(event.seconds)
        else:
            self._env.step(self._action(event))

    def verdict(self) -> Verdict:
        """Return what the environment says now."""
        told = self._env.step({"action_type": 0})
        return Verdict(bool(told[2]), float(told[4]["raw_reward"] or 0.0))

    def ask(self, script: str) -> Any:
        """Return a script's value on the page; raises Selenium's error for one."""
        return self._env.instance.driver.execute_script(script)

    def settled(self, expression: str) -> Any:
        """Return an expression's value when it is the same twice: pictures load when they load."""
        before, value = None, self.ask(f"return {expression}")
        while value != before:
            time.sleep(POLL_SECONDS)
            before, value = value, self.ask(f"return {expression}")
        return value

    def close(self) -> None:
        """End Chrome."""
        self._env.close()

    def _point(self, spot: Spot) -> tuple[float, float]:
        """Return where a spot is on the official page, scrolled into view and at rest."""
        if spot.part < 0:
            return spot.x, spot.y
        script = f"{FIND} return find({spot.part}, {spot.across}, {spot.down})"
        before, now = None, self.ask(script)
        while now != before:
            time.sleep(POLL_SECONDS)
            before, now = now, self.ask(script)
        return round(now[0], 2), round(now[1], 2)

    def _action(self, event: Event) -> dict[str, Any]:
        kind = self._actions.action_types.index(self._names[event.kind])
        action: dict[str, Any] = {"action_type": kind, "coords": (0.0, 0.0)}
        if event.kind in POINTED:
            action["coords"] = self._point(event.spot)
        if event.kind == "key":
            self._keys[:] = [official_key(event.text)]
            action["key"] = 0
        if event.kind == "type":
            action["text"] = event.text
        return action


def _no_fields(_: str) -> list[tuple[str, str]]:
    return []


def official_key(key: str) -> str:
    """Return the official name of a key such as `Control+Shift+ArrowRight`."""
    *modifiers, last = key.split("+")
    name = last if len(last) == 1 else f"<{last}>"
    return "".join(KEYS[modifier] for modifier in modifiers) + name
