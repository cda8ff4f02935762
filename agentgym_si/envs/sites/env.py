"""`agentgym_si/Sites-v0`: an internet of our own, and goals like those people have on the real one.

The same sites are read by a text browser and by Chromium, and say the same: the text one is the
default, as it needs nothing and is a thousand times as fast; `backend="browser"` has pixels too.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from agentgym_si.envs.base import Step
from agentgym_si.envs.sites import (
    goals_calendar,
    goals_forum,
    goals_mail,
    goals_shop,
    goals_travel,
    goals_web,
    goals_wiki,
)
from agentgym_si.envs.sites.filling import draw_world
from agentgym_si.envs.sites.goals import Kind, Problem
from agentgym_si.envs.sites.guard import KNOWN, check
from agentgym_si.envs.sites.html import document
from agentgym_si.envs.sites.internet import SITES
from agentgym_si.envs.sites.playing import (
    Played,
    Server,
    cheats_of,
    compared,
    has_read,
    play,
    texts_of,
)
from agentgym_si.envs.sites.requests import Request
from agentgym_si.envs.sites.textual import TextBrowser, View
from agentgym_si.envs.tools.answers import tells
from agentgym_si.envs.web.actions import Call
from agentgym_si.envs.web.env import BrowserEnv, WebOptions
from agentgym_si.envs.web.requests import Reply as WebReply
from agentgym_si.envs.web.requests import Request as WebRequest
from agentgym_si.envs.web.snapshot import Page, element_of, format_page, quoted_words
from agentgym_si.envs.web.view import show
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.types import Task

BACKENDS = ("text", "browser")

FOR_TEXT = frozenset(("changes_only", "max_characters"))
"""Which of `WebOptions` the text back end takes."""

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for module in (
        goals_shop,
        goals_forum,
        goals_wiki,
        goals_mail,
        goals_calendar,
        goals_web,
        goals_travel,
    )
    for kind in module.KINDS
}
"""Every sort of goal by its name."""

HELD_OUT_SITE = "travel"
"""No goal on this site is ever trained on."""

TASKS = (4, 2)
"""Tasks of each kind: so many to train on, and so many in words never trained on."""

RESTART = -1
"""The place of an oracle that has to begin again."""

STEPS = (6, 10, 16, 25)
"""Steps after which a task of each level is truncated."""


LOADED = (
    "(document.readyState === 'complete' ? Promise.resolve() : new Promise("
    "(loaded) => addEventListener('load', loaded, {{once: true}})))"
    ".then(() => __agentgym.{})"
)
"""Asks a page that a click may have led to something, once all of it is there."""

MOST_WORDS = 12
"""Words beside the answer that a message may have: more is a page read aloud."""


class SitesEnv(BrowserEnv):
    """Browse a small internet: find, compare, buy, book, post, write, answer, or say it cannot be.

    A goal about what is to be done is reached, reward 1, as soon as it is done and nothing else
    is; one that asks something by the right `send_msg_to_user`, after what it needs was read; one
    that cannot be done by `report_infeasible`, after the page that shows so was seen.

    Args:
        task: `shop-buy-0` is number 0 of the kind buy on the site shop; see `TextEnv`. The number
            fixes the wording, the episode's seed all content.
        split: `train`; `test` (the same kinds of goal in other words); `test-kind` (kinds of goal
            never trained on); `test-site` (a site never trained on).
        max_steps: see `TextEnv`; None for 6, 10, 16 or 25 by the kind's level.
        render_mode: see `TextEnv`; "rgb_array" with the browser only.
        backend: "text" or "browser".
        web: see `WebOptions`; "text" takes `changes_only` and `max_characters`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 2}  # noqa: RUF012
    viewport = {"width": 800, "height": 600}  # noqa: RUF012

    instructions = (
        'You browse the web to reach a goal. Each line is an element: [id] role "name", then '
        f"value and state. Answer with exactly one action: {KNOWN}, with values such as "
        "click('3'), fill('4', 'text'), select_option('5', 'Monday'), press('4', 'Enter'), "
        "goto('http://find.test/'). Where something is asked, end with send_msg_to_user('answer'), "
        "the answer alone; where the goal cannot be reached, with report_infeasible('reason')."
    )
    examples: ClassVar[Sequence[str]] = (
        "noop()",
        "click('1')",
        "click('2')",
        "go_back()",
        "goto('http://find.test/')",
    )

    def __init__(
        self,
        task: str | None = None,
        *,
        split: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        backend: str = "text",
        **web: Unpack[WebOptions],
    ) -> None:
        """Choose the tasks; raises UnknownName and BadInput."""
        if backend not in BACKENDS:
            raise UnknownName("backend", backend, BACKENDS, where="SitesEnv")
        self.backend = backend
        """What reads the sites: "text" or "browser"."""
        if backend == "browser":
            self.metadata = BrowserEnv.metadata
        elif set(web) - FOR_TEXT:
            option = sorted(set(web) - FOR_TEXT)[0]
            raise BadInput(f"expected backend='browser' with {option}, got backend='text'")
        super().__init__(task, split=split, max_steps=max_steps, render_mode=render_mode, **web)
        self.problem: Problem | None = None
        """The running episode's problem."""
        self._goal = ""
        self._solution: Played | None = None
        self._server: Server | None = None
        self._browser: TextBrowser | None = None
        self._seen = View("", ())
        self._read: set[str] = set()
        self._place: int | None = 0
        """Steps of the solution that are done; RESTART, or None once it is out of reach."""

    # What the environment tells -----------------------------------------------------------

    def tasks(self) -> Sequence[Task]:
        """Return the tasks of all kinds."""
        return [
            Task(
                id=f"{kind.name}-{number}",
                goal=wording,
                data={"kind": kind.name, "level": kind.level, "site": kind.site},
                split=split,
            )
            for kind in KINDS.values()
            for number, (split, wording) in enumerate(_numbered(kind))
        ]

    def step_limit(self, task: Task) -> int:
        """Return the limit of the task's level."""
        return STEPS[task.data["level"]]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Draw the world and the goal; return the first page."""
        rng = np.random.default_rng([zlib.crc32(task.id.encode()), int(rng.integers(2**63))])
        self.problem = problem = KINDS[task.data["kind"]].draw(draw_world(rng), rng)
        self._goal = task.goal.format(**problem.fields)
        self._solution = play(problem, problem.steps)
        self._server = Server(problem.world)
        self._read, self._place = set(), 0
        if self.backend == "text":
            self._browser = TextBrowser(self._server, problem.start)
            return self._show(self._browser.read())
        hosts = tuple(SITES)
        state = self.open_page(problem.start, self._answer, self._reading(), hosts=hosts)
        return self._show(self._view_of(state))

    # What the agent does ------------------------------------------------------------------

    def act(self, action: str) -> Step:
        """Carry an action out and judge; raises ActionError."""
        assert self.problem is not None
        call, before = self.parse(action), self._seen
        if call.name == "send_msg_to_user":
            self._follow(action, before)
            return self._shown, float(self._is_told(call.arguments[0])), True
        if call.name == "report_infeasible":
            self._follow(action, before)
            return self._shown, float(self.problem.infeasible and self._is_right()), True
        observation = self._show(self._perform(check(call, before, SITES)))
        self._follow(action, before)
        solved = not self.problem.answered and self._is_right()
        return observation, float(solved), solved

    def _perform(self, call: Call) -> View:
        """Carry a checked action out; return what is seen after, or raise ActionError."""
        if self.backend == "text":
            assert self._browser is not None
            self._browser.perform(call)
            return self._browser.read()
        state = self.play(call, LOADED.format(f"step(0, false, {self._look})"), self._reading())
        if state["error"] is not None:
            raise state["error"]
        return self._view_of(state)

    def _reading(self) -> str:
        return LOADED.format(f"read({self._look})")

    def _view_of(self, state: Mapping[str, Any]) -> View:
        assert self._session is not None
        elements = tuple(map(element_of, state["rows"]))
        return View(state["url"], elements, self._session.active, len(self._session.tabs))

    def _answer(self, request: WebRequest) -> WebReply | None:
        """Give the browser what the sites answer; nothing for what is on none of them."""
        assert self._server is not None
        asked = Request(request.method, request.url, request.body)
        if asked.host not in SITES:
            return None
        reply = self._server(asked)
        if reply.body is None:
            return WebReply(status=reply.status, headers={"location": reply.location})
        return WebReply(document(reply), status=reply.status)

    def _show(self, view: View) -> str:
        """Take over what is seen now; return what a policy is shown of it."""
        before = self._page if self._actions else None
        self._seen = view
        self._read |= set(texts_of(view))
        notes = [f"url: {view.url}"]
        if view.tabs > 1:
            notes.insert(0, f"tabs: {view.tabs}, you see tab {view.tab}")
        self._page = Page(self._goal, view.elements, tuple(notes))
        self._text = format_page(self._page)
        self._shown = show(self._page, self.view, before)
        return self._shown

    def _is_right(self) -> bool:
        """Say whether the world, the page and what was read are as they have to be."""
        assert self.problem is not None and self._server is not None and self._solution is not None
        shown = self.problem.page in ("", self._seen.url)
        right = compared(self._server.world) == compared(self._solution.world)
        return shown and right and has_read(self.problem, frozenset(self._read))

    def _is_told(self, said: str) -> bool:
        assert self.problem is not None
        problem = self.problem
        short = len(said.split()) <= MOST_WORDS + len(" ".join(problem.says).split())
        told = short and tells(said, problem.says, problem.unsaid, self._goal)
        return bool(problem.says) and told and self._is_right()

    # Known ways ---------------------------------------------------------------------------

    def oracle(self) -> str:
        """Return the next action of the solution, after reading elsewhere from its beginning.

        NotImplementedError once the world was changed in another way.
        """
        if self._solution is None or self._place in (None, len(self._solution.actions)):
            raise NotImplementedError("SitesEnv has no oracle for this state")
        return self._restart() if self._place == RESTART else self._solution.actions[self._place]

    def candidates(self) -> Sequence[str]:
        """Return what can be clicked, filled from the goal, chosen, and said of what is read."""
        actions: list[str] = []
        words = quoted_words(self._goal)
        for element in self._seen.elements:
            place = element.id
            if element.role in ("textbox", "textarea"):
                actions += [f"fill('{place}', {word!r})" for word in words]
            elif element.role == "combobox":
                actions += [f"select_option('{place}', {name!r})" for name in element.options]
            elif element.role != "text":
                actions.append(f"click('{place}')")
            else:
                told = element.name.partition(": ")[2] or element.name
                actions.append(f"send_msg_to_user({told!r})")
        return [*actions, "go_back()", "report_infeasible('')", self.noop]

    def cheats(self) -> Sequence[Sequence[str]]:
        """Return plays that must earn nothing; see `playing`."""
        return () if self.problem is None else cheats_of(self.problem, self._goal)

    def step_info(self) -> Mapping[str, Any]:
        """Return where the browser is, and how many steps of the solution are done."""
        return {**super().step_info(), "url": self._seen.url, "followed": self._place}

    def _follow(self, action: str, before: View) -> None:
        """Keep track of the place in the solution; who reads elsewhere begins it again."""
        assert self.problem is not None and self._solution is not None
        assert self._server is not None
        steps, untouched = self._solution.actions, self._server.world == self.problem.world
        if self._place is None:
            return
        if self._place == RESTART:
            if action == self._restart() and untouched:
                self._place = 0
            elif not untouched:
                self._place = None
        elif self._place < len(steps) and action == steps[self._place]:
            self._place += 1
        elif self._seen != before:
            self._place = RESTART if untouched else None

    def _restart(self) -> str:
        assert self.problem is not None
        return f"goto({self.problem.start!r})"


def _numbered(kind: Kind) -> list[tuple[str, str]]:
    """Return split and wording of each of a kind's tasks."""
    train, test = TASKS
    if kind.held_out or kind.site == HELD_OUT_SITE:
        split = "test-site" if kind.site == HELD_OUT_SITE else "test-kind"
        wordings = kind.train + kind.test
        return [(split, wordings[number % len(wordings)]) for number in range(train + test)]
    return [("train", kind.train[number % len(kind.train)]) for number in range(train)] + [
        ("test", kind.test[number % len(kind.test)]) for number in range(test)
    ]
