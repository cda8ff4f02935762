"""What an action of ours does to a page, as events that the official environment can do as well."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.web.actions import Call
from parity_suites.miniwob_official import PARTS, Event, Spot

DRAG_MOVES = 4
"""As many as ours makes of a drag."""

PAUSE_SECONDS = 0.1

SPOT = """
(() => {
  const [x, y] = [X, Y];
  const hit = document.elementFromPoint(x, y);
  const e = hit?.closest('svg') ?? hit;  // a drawing's parts change their order
  const box = e?.getBoundingClientRect();
  const part = [...document.body.querySelectorAll('*')].indexOf(e);
  return part < 0 ? null : [part, (x - box.left) / box.width, (y - box.top) / box.height];
})()
"""
"""The element at X, Y, and where in it that is."""

SCROLLS = """
[...document.body.querySelectorAll('*')].map((e, i) => [
  i, e.scrollLeft / (e.scrollWidth - e.clientWidth),
  e.scrollTop / (e.scrollHeight - e.clientHeight),
]).filter(([, x, y]) => x >= 0 || y >= 0)
"""
"""How far each part that can be scrolled is, as share of the whole."""

SET_ALONE = ("date", "time", "month", "week", "datetime-local", "color", "range")
"""Kinds of input whose value is set and not typed."""

POINTED = {"click": "click", "dblclick": "dblclick", "hover": "move"}
MOUSE = {
    "mouse_move": "move",
    "mouse_click": "click",
    "mouse_dblclick": "dblclick",
    "mouse_down": "down",
    "mouse_up": "up",
}

CHANGED = (
    "{0}.dispatchEvent(new Event('input', {{bubbles: true, composed: true}}));"
    "{0}.dispatchEvent(new Event('change', {{bubbles: true}}));"
)


def events_of(env: MiniWoBEnv, call: Call) -> list[Event]:
    """Return the events of an action on the page as it is; none for what the page refuses."""
    name, arguments = call.name, call.arguments
    if name in MOUSE:
        return [Event(MOUSE[name], _spot(env, *arguments[:2]))]
    if name == "mouse_drag_and_drop":
        return _drag(env, *arguments)
    if name == "keyboard_press":
        return [Event("key", text=arguments[0])]
    if name == "keyboard_type":
        return [Event("type", text=arguments[0])]
    if name == "noop":
        return [Event("wait", seconds=arguments[0] / 1000)] if arguments[0] else []
    if name == "drag_and_drop":
        start, end = _place(env, arguments[0]), _place(env, arguments[1])
        return _drag(env, *start, *end) if start and end else []
    if name == "scroll":
        return []  # where everything is scrolled to is told apart
    place = _place(env, arguments[0])
    return _at(env, call, _spot(env, *place)) if place else []


def scrolled(env: MiniWoBEnv) -> Event:
    """Return the event that scrolls all parts as far as they are on our page."""
    shares = json.dumps(env.evaluate(SCROLLS))
    script = (
        f"for (const [i, x, y] of {shares}) {{ const part = {PARTS}[i]; if (part) part.scrollTo("
        "(x ?? 0) * (part.scrollWidth - part.clientWidth), "
        "(y ?? 0) * (part.scrollHeight - part.clientHeight)); }"
    )
    return Event("script", text=script)


def corrupted(actions: Sequence[str]) -> list[str]:
    """Return actions that go wrong: another text, a step left out, another place or thing."""
    for nth, action in enumerate(actions):
        if action.startswith(("fill(", "keyboard_type(", "select_option(")) and nth < len(actions):
            head, text, tail = re.fullmatch(r"(.*?)([^'\"]+)(['\"\])]*)", action).groups()  # type: ignore[union-attr]
            return [*actions[:nth], f"{head}{text[::-1]}x{tail}", *actions[nth + 1 :]]
    if len(actions) > 1:
        return list(actions[1:])
    numbers = re.findall(r"\d+", actions[0])
    other = "1" if numbers[0] != "1" else "2"
    return [actions[0].replace(numbers[0], other, 1)]


def _place(env: MiniWoBEnv, bid: int) -> tuple[float, float] | None:
    spot = env.evaluate(f"__agentgym.locate({bid}, true)")
    return None if "error" in spot else (spot["x"], spot["y"])


def _spot(env: MiniWoBEnv, x: float, y: float) -> Spot:
    """Return a point of our page, by the element that is there."""
    found = env.evaluate(SPOT.replace("X, Y]", f"{x}, {y}]"))
    return Spot(found[0], x, y, *found[1:]) if found else Spot(-1, x, y)


def _drag(env: MiniWoBEnv, from_x: float, from_y: float, to_x: float, to_y: float) -> list[Event]:
    """Return the press, the moves, the last of them to what is at the end, and the release."""
    end = _spot(env, to_x, to_y)
    between = [
        Event("move", Spot(-1, from_x + share * (to_x - from_x), from_y + share * (to_y - from_y)))
        for share in (nth / DRAG_MOVES for nth in range(1, DRAG_MOVES))
    ]
    start = Event("down", _spot(env, from_x, from_y))
    return [start, *between, Event("move", end), Event("up", Spot(-1, to_x, to_y))]


def _at(env: MiniWoBEnv, call: Call, spot: Spot) -> list[Event]:
    """Return what is done to the element at a spot."""
    if call.name in POINTED:  # first to the place: a picture may change under the pointer
        pause = Event("wait", seconds=PAUSE_SECONDS)
        return [Event("move", spot), pause, Event(POINTED[call.name], spot)]
    if call.name == "press":
        focus = Event("script", spot, "e.focus({preventScroll: true})")
        return [focus, Event("key", text=call.arguments[1])]
    if call.name == "select_option":
        wanted = json.dumps(list(call.arguments[1]))
        chosen = f"for (const o of s.options) o.selected = {wanted}.includes(o.label.trim());"
        select = f"const s = e.closest('select'); s.focus(); {chosen} {CHANGED.format('s')}"
        return [Event("script", spot, select)]
    text = call.arguments[1] if call.name == "fill" else ""
    if env.evaluate(f"{PARTS}[{spot.part}]?.type") in SET_ALONE:
        value = f"e.focus(); e.value = {json.dumps(text)}; {CHANGED.format('e')}"
        return [Event("script", spot, value)]
    select = "e.focus(); if (e.select) e.select(); else getSelection().selectAllChildren(e)"
    typed = Event("type", text=text) if text else Event("key", text="Delete")
    return [Event("script", spot, select), typed]


def told(said: Any) -> str:
    """Return the goal's words of what a page's `core.getUtterance` gives."""
    return str(said["utterance"] if isinstance(said, dict) else said)
