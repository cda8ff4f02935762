"""MiniWoB++: goals, pages and rewards of equal seeds and actions, against its own environment.

Two sources of the official side: rows that were stored (`miniwob_official_vs_playwright.jsonl`),
and the official environment itself, played here beside ours where chromedriver is installed. Our
oracle's actions, and a corrupted form of them, are done to both pages as the same pointer moves and
keys; what is compared is whether the episode is over, and the raw reward.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.web.actions import parse
from agentgym_si.errors import MissingDependency
from parity_suites.miniwob_events import corrupted, events_of, scrolled, told
from parity_suites.miniwob_official import Event, Official, Verdict
from parity_suites.report import Difference, Report

PLACE = "web"
LIVE = True
"""It can be run without data."""

STORED = "miniwob_official_vs_playwright.jsonl"
SEEDS = 2
QUICK_TASKS = 4
"""With --quick, each fourth task."""

SAME = 1e-6

SETTLE_SECONDS = 0.55
"""Our page's time moves on 0.5 s with an action; the official page's clock is the wall's."""

SHORT_SECONDS = 0.06
"""Instead of that, for pages on which nothing takes time."""

WALL_CLOCK = {
    "button-delay": "how long the pause was is measured by the wall's clock there",
    "drag-cube": "the cube turns by the wall's clock there",
    "moving-items": "the circles move by the wall's clock there",
    "simon-says": "the buttons light up by the wall's clock there",
    "stock-market": "the price changes by the wall's clock there",
}
"""Tasks whose pages cannot be at the same point of their time in both."""

WAITING = re.compile(
    "book-flight|choose-date|click-coll|click-menu|click-pie|click-tab|login-user-popup|navigate"
    "|use-auto|text-editor|order-food|social-media"
)
"""Tasks with animations, delays and pauses."""

CLIPBOARD = "the clipboard there is the system's, and holds the text of the episode before"
LINES = "text is drawn by another renderer there, so lines break elsewhere and heights are others"
MARKS = "a drag by chromedriver marks no text in this Chromium"
TYPED = "the page reads the box after every key; fill puts the text in at once"
UNAVOIDABLE = {
    "copy-paste": CLIPBOARD,
    "copy-paste-2": CLIPBOARD,
    "highlight-text": MARKS,
    "highlight-text-2": MARKS,
    "scroll-text-2": LINES,
}
REASONS = {
    **UNAVOIDABLE,
    "use-colorwheel": TYPED,
    "use-colorwheel-2": TYPED,
    "use-spinner": "the box refuses keys; fill puts the text in without any, as BrowserGym's does",
}
"""What makes the difference where there is one."""

UTTERANCE = "core.getUtterance()"
ELEMENTS = "Object.keys(core.flattenDOMInfo(core.getDOMInfo())).length"
"""How many elements the official observation of a page has."""


def compare(data: Path, quick: bool) -> Report:
    """Compare the stored rows, and where it can be had the official environment itself."""
    report = Report("miniwob")
    with MiniWoBEnv() as env:
        stored = data / STORED
        if stored.is_file():
            _compare_stored(report, env, stored)
        try:
            official = Official()
        except MissingDependency as missing:
            report.left_out["official environment"] = str(missing)
            return report
        try:
            _compare_live(report, env, official, quick)
        finally:
            official.close()
    report.left_out.update(WALL_CLOCK)
    return report


def _compare_stored(report: Report, env: MiniWoBEnv, file: Path) -> None:
    """Compare goal, size of the page and, of the reference actions, the outcome.

    The rows do not say what the corrupted actions were: of those, goal and page alone.
    """
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        part = f"stored, {row['kind']}"
        task, seed = row["task"], row["seed"]
        env.reset(seed=seed, options={"task": task})
        ours: list[Any] = [told(env.evaluate(UTTERANCE)), env.evaluate(ELEMENTS)]
        official = [row["utterance"], row["n_dom"]]
        if row["kind"] == "reference":
            ours.append(list(_play_oracle(env)))
            official.append(row["official"])
        _note(report, part, f"{task}@{seed}", row["kind"], official, ours, "")


def _compare_live(report: Report, env: MiniWoBEnv, official: Official, quick: bool) -> None:
    tasks = [task for task in env.all_tasks if env.has_oracle(task) and task not in WALL_CLOCK]
    for task in tasks[:: QUICK_TASKS if quick else 1]:
        for seed in range(1 if quick else SEEDS):
            name = f"{task}@{seed}"
            env.reset(seed=seed, options={"task": task})
            ours: list[Any] = [told(env.evaluate(UTTERANCE)), env.evaluate(ELEMENTS)]
            theirs = [official.begin(task, seed), official.settled(ELEMENTS)]
            _note(report, "goal and page", name, "begin", theirs, ours, "")
            reference = _actions(env)
            for kind, actions in (("reference", reference), ("corrupted", corrupted(reference))):
                pair = _play_both(env, official, task, seed, actions)
                why = REASONS.get(task, "; ".join(actions))
                _note(report, kind, name, kind, list(pair[0]), list(pair[1]), why)


def _actions(env: MiniWoBEnv) -> list[str]:
    """Return the oracle's actions of the episode that has begun."""
    actions: list[str] = []
    over = False
    while not over:
        actions.append(env.oracle())
        _, _, terminated, truncated, _ = env.step(actions[-1])
        over = terminated or truncated
    return actions


def _play_oracle(env: MiniWoBEnv) -> Verdict:
    over, info = False, dict[str, Any]()
    while not over:
        _, _, terminated, truncated, info = env.step(env.oracle())
        over = terminated or truncated
    return Verdict(terminated, float(info["raw_reward"] or 0.0))


def _play_both(
    env: MiniWoBEnv, official: Official, task: str, seed: int, actions: Sequence[str]
) -> tuple[Verdict, Verdict]:
    """Return the official verdict and ours after the same actions."""
    env.reset(seed=seed, options={"task": task})
    official.begin(task, seed)
    wait = Event("wait", seconds=SETTLE_SECONDS if WAITING.match(task) else SHORT_SECONDS)
    official.do(wait)
    verdict = Verdict(False, 0.0)
    for action in actions:
        events = events_of(env, parse(action))
        _, _, terminated, truncated, info = env.step(action)
        for event in events:
            official.do(event)
        official.do(wait)
        verdict = Verdict(terminated, float(info["raw_reward"] or 0.0))
        if terminated or truncated:
            break
        official.do(scrolled(env))
    return official.verdict(), verdict


def _note(
    report: Report, part: str, name: str, kind: str, official: list[Any], ours: list[Any], why: str
) -> None:
    """Count a row, and keep it where the two differ."""
    report.parts[part] = report.parts.get(part, 0) + 1
    if not all(map(_same, official, ours)):
        avoidable = why not in UNAVOIDABLE.values()
        report.differences.append(Difference(part, name, kind, official, ours, why, avoidable))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return all(map(_same, one, other))
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return bool(abs(one - other) < SAME if numbers else one == other)
