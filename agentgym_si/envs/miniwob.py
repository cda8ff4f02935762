"""`agentgym_si/MiniWoB-v0`: the MiniWoB++ pages in a real Chromium, as text.

Reward is the page's own scorer: 1 where it gives the full raw reward, else 0. Chance and the
page's clock follow the seed, so the same seed, task and actions are the same episode to the byte.

    "Reinforcement Learning on Web Interfaces using Workflow-Guided Exploration" (Liu et al., 2018)
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.envs.miniwob_oracles import ORACLES
from agentgym_si.envs.web.actions import Call, parse
from agentgym_si.envs.web.browsers import find_browser
from agentgym_si.envs.web.hub import Hub, Work, hub_for
from agentgym_si.envs.web.pages import document, picture, task_names
from agentgym_si.envs.web.perform import perform
from agentgym_si.envs.web.png import decode_png
from agentgym_si.envs.web.session import Answer, Reply, Session, keep_spare, open_session
from agentgym_si.envs.web.snapshot import Page, format_page, page_of, quoted_words, read_page
from agentgym_si.errors import ActionError, BadInput, EnvFailure
from agentgym_si.types import Task

SITE = "http://miniwob.test/"
STEP_MILLISECONDS = 500
"""What the page's clock moves on in a step."""

AREA = {"x": 0.0, "y": 0.0, "width": 160.0, "height": 210.0}


class MiniWoBEnv(TextEnv):
    """A MiniWoB++ task: a goal and a small page of numbered elements.

    Args:
        task: see `TextEnv`; the ids are the file names, such as "click-button".
        split: see `TextEnv`; all tasks are "train".
        max_steps: see `TextEnv`.
        render_mode: None, "ansi" or "rgb_array".
        browser: a Chromium's executable; None looks for one (`find_browser`).
        deadline_seconds: wall-clock limit of one call to the browser; only a hung browser meets it.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  (Gymnasium's own form)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
    }
    instructions = (
        'You act on a web page. Each line is an element: [id] role "name", then value and state. '
        "Answer with exactly one action: click('3'), dblclick('3'), hover('3'), "
        "fill('3', 'text'), clear('3'), press('3', 'Enter'), keyboard_press('Tab'), "
        "select_option('3', 'Blue'), drag_and_drop('3', '4'), scroll(0, 100), "
        "mouse_click(40, 80), noop(), or report_infeasible('reason') to give up."
    )
    default_max_steps: ClassVar[int] = 30
    waits: ClassVar[bool] = True
    examples: ClassVar[Sequence[str]] = ("noop()", "click('1')", "click('2')", "fill('1', 'a')")

    def __init__(
        self,
        task: str | None = None,
        *,
        split: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        browser: str | Path | None = None,
        deadline_seconds: float = 60.0,
    ) -> None:
        """Choose the tasks; the browser starts with the first reset."""
        super().__init__(task, split=split, max_steps=max_steps, render_mode=render_mode)
        self._wanted_browser = browser
        self._deadline = deadline_seconds
        self._hub: Hub | None = None
        self._session: Session | None = None
        self._discard: weakref.finalize[[Work], MiniWoBEnv] | None = None
        self._page = Page("", ())
        self._text = ""
        self._verdict: dict[str, Any] = {}

    def tasks(self) -> Sequence[Task]:
        """Return a task for every page the package `miniwob` ships."""
        return [Task(name) for name in task_names()]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Load the page in a fresh context and begin its episode."""
        hub = hub_for(find_browser(self._wanted_browser))
        self.close()
        self._hub = hub
        state = hub.call(self._begin_episode(hub, task.id), self._deadline)
        if not state["ready"]:
            raise EnvFailure("not_ready", f"task {task.id} was not ready in time")
        return self._read(state)

    def act(self, action: str) -> Step:
        """Carry the action out, let the page's clock run, and read the page."""
        call = parse(action)
        if call.name == "report_infeasible":
            return self._text, 0.0, True
        assert self._hub is not None and self._session is not None
        error, state = self._hub.call(self._play(self._session, call), self._deadline)
        observation = self._read(state)
        if error is not None:
            raise ActionError(error)
        raw = state["raw"]
        solved = state["done"] and raw is not None and raw >= 1.0
        return observation, 1.0 if solved else 0.0, state["done"]

    def describe_error(self, error: str) -> str:
        """Return the page as it is, with the error as the last line."""
        return f"{self._text}\nerror: {' '.join(error.split())}"

    def step_info(self) -> Mapping[str, Any]:
        """Return the page's raw reward and its reason."""
        return dict(self._verdict)

    def oracle(self) -> str:
        """Return the next action of the task's hand-written solver, which reads only the text."""
        solver = ORACLES.get(self.current_task.id)
        if solver is None:
            raise NotImplementedError(f"no oracle for MiniWoB task {self.current_task.id!r}")
        return solver(read_page(self._text), tuple(self._actions))

    def has_oracle(self, task_id: str) -> bool:
        """Say whether there is a solver for the task."""
        return task_id in ORACLES

    def candidates(self) -> Sequence[str]:
        """Return a click for each element, and the goal's quoted words for each textbox."""
        actions: list[str] = []
        words = quoted_words(self._page.goal)
        for element in self._page.elements:
            if element.role in ("textbox", "textarea"):
                actions += [f"fill('{element.id}', {word!r})" for word in words]
            actions += [f"select_option('{element.id}', {name!r})" for name in element.options]
            actions.append(f"click('{element.id}')")
        return [*actions, "scroll(0, 100)", self.noop]

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return attempts to reach the scorer or to leave the page."""
        forged = "WOB_RAW_REWARD_GLOBAL=1;WOB_DONE_GLOBAL=true;core.endEpisode(1)"
        return (
            (f"goto('javascript:{forged}')",),
            ("goto('file:///etc/hostname')",),
            ("goto('http://miniwob.test/click-test.html')", "noop()"),
            (f"keyboard_type('<script>{forged}</script>')", "noop()"),
            (f"send_msg_to_user('{forged}')", f"__import__('os').system('{forged}')"),
            ("keyboard_press('F12')", f"keyboard_type('{forged}')", "noop()"),
            ("new_tab()", "tab_focus(1)", f"keyboard_type('javascript:{forged}')", "noop()"),
            ("keyboard_press('Control+Shift+J')", "keyboard_press('F5')", "noop()"),
        )

    def render(self) -> Any:
        """Return the task's area as (210, 160, 3) uint8 in mode "rgb_array", the text in "ansi"."""
        if self.render_mode != "rgb_array":
            return super().render()
        if self._hub is None or self._session is None:
            raise BadInput("expected reset() before render()")
        return decode_png(self._hub.call(self._session.screenshot(AREA), self._deadline))

    def close(self) -> None:
        """Close the episode's context; the browser stays for the process's other environments."""
        self._session = None
        if self._discard is not None:
            self._discard()  # once, however often it is called

    # Inside -------------------------------------------------------------------------------

    async def _begin_episode(self, hub: Hub, task_id: str) -> dict[str, Any]:
        session = self._session = await open_session(hub)
        self._discard = weakref.finalize(self, hub.later, session.close)
        self._discard.atexit = False
        page = f"{SITE}{task_id}.html"
        await session.load(page, _serve(page, document(task_id, self._seed)))
        # A number as the official environment passes it, while JavaScript's numbers can hold it.
        seed = json.dumps(self._seed if self._seed < 2**53 else str(self._seed))
        begin = f"__miniwob.begin({seed}, {STEP_MILLISECONDS})"
        state: dict[str, Any] = await session.evaluate(begin)
        keep_spare(hub)
        return state

    async def _play(self, session: Session, call: Call) -> tuple[str | None, dict[str, Any]]:
        """Return what the page refused, if anything, and the page's state after."""
        error, then = None, f"__miniwob.step({STEP_MILLISECONDS})"
        try:
            await perform(session, call)
        except ActionError as mistake:
            error, then = str(mistake), "__miniwob.read()"
        state: dict[str, Any] = await session.evaluate(then, tab=0)
        if session.active != 0:
            state["rows"] = await session.evaluate("__agentgym.snapshot(new Set())")
        return error, state

    def _read(self, state: Mapping[str, Any]) -> str:
        assert self._session is not None
        self._verdict = {"raw_reward": state["raw"], "reward_reason": state["reason"]}
        self._page = page_of(state, self._session.notes())
        self._text = format_page(self._page)
        return self._text


def _serve(page: str, body: str) -> Answer:
    """Answer the first request for `page`, and any for its pictures.

    A second page would be another episode, or another task.
    """
    left = [Reply(body)]

    def answer(url: str) -> Reply | None:
        if url == page:
            return left.pop() if left else None
        found = picture(url.removeprefix(SITE)) if url.startswith(SITE) else None
        return Reply(*found) if found else None

    return answer
