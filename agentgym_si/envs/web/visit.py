"""`VisitEnv`: one goal on any page, the user's own or of a network that may be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack
from urllib.parse import urlsplit

import numpy as np

from agentgym_si.envs.base import Step
from agentgym_si.envs.web.env import STEP_MILLISECONDS, BrowserEnv, WebOptions
from agentgym_si.envs.web.requests import Answer, Reply, Request, nothing
from agentgym_si.errors import BadInput
from agentgym_si.types import Task

Pages = Mapping[str, str] | Answer
"""HTML by address, or a function that answers requests."""


class VisitEnv(BrowserEnv):
    """Begin at a page; reward 1 for the right message to the user, or for being at an address.

        env = VisitEnv(
            url="http://shop.test/",
            goal="Say what the tea costs.",
            pages={"http://shop.test/": "<p>Tea: 3 pounds</p>"},
            answer="3 pounds",
        )
        env.reset(seed=0)  # Goal: … [1] text "Tea: 3 pounds"
        env.step("send_msg_to_user('3 Pounds')")  # reward 1, terminated

    Args:
        url: the first page's address.
        goal: what the policy is told to do.
        pages: what is at which address; None where all comes from the network or a cassette.
        answer: the right message, compared without regard to case and white space.
        reach: the address to be at.
        max_steps: see `TextEnv`.
        render_mode: see `TextEnv`.
        web: see `WebOptions`.
    """

    viewport = {"width": 800, "height": 600}  # noqa: RUF012

    def __init__(
        self,
        *,
        url: str,
        goal: str = "",
        pages: Pages | None = None,
        answer: str | None = None,
        reach: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        **web: Unpack[WebOptions],
    ) -> None:
        """Check the addresses; the browser starts with the first reset. Raises BadInput."""
        self._url, self._goal, self._told, self._reach = url, goal, answer, reach
        self._answer, self._hosts = _answer_of(pages, url)
        super().__init__(max_steps=max_steps, render_mode=render_mode, **web)
        known = self._network.permits(url) or self._cassette is not None
        if not known and (pages is None or (isinstance(pages, Mapping) and url not in pages)):
            raise BadInput(f"expected {url[:80]!r} among the pages, or a network that permits it")
        self._place = url

    def tasks(self) -> Sequence[Task]:
        """Return the one task; its solution is the answer or the address."""
        solution = []
        if self._told is not None:
            solution = [f"send_msg_to_user({self._told!r})"]
        elif self._reach is not None:
            solution = [f"goto({self._reach!r})"]
        return [Task("visit", self._goal, solution=tuple(solution))]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        """Open the first page."""
        begin = self._step(STEP_MILLISECONDS)
        return self._take(
            self.open_page(self._url, self._answer, begin, hosts=self._hosts, seed=self._seed)
        )

    def act(self, action: str) -> Step:
        """Carry an action out and judge; raises ActionError and EnvFailure."""
        call = self.parse(action)
        if call.name == "report_infeasible":
            return self._shown, 0.0, True
        if call.name == "send_msg_to_user":
            right = self._told is not None and _plain(call.arguments[0]) == _plain(self._told)
            return self._shown, float(right), True
        step = self._step(self.waited(call) or STEP_MILLISECONDS)
        state = self.play(call, step, f"__agentgym.read({self._look})")
        observation = self._take(state)
        if state["error"] is not None:
            raise state["error"]
        reached = self._reach is not None and _same(self._place, self._reach)
        return observation, float(reached), reached

    def step_info(self) -> Mapping[str, Any]:
        """Return where the browser is, and what `BrowserEnv` tells."""
        return {**super().step_info(), "url": self._place}

    def _step(self, milliseconds: float) -> str:
        """Return the expression that lets a page's time pass, and what it asks for come."""
        live = str(self._network.mode != "none").lower()
        return f"__agentgym.step({milliseconds}, {live}, {self._look})"

    def _take(self, state: Mapping[str, Any]) -> str:
        self._place = state["url"]
        return self.read(self._goal, state["rows"], [f"url: {self._place}"])


def _answer_of(pages: Pages | None, url: str) -> tuple[Answer, tuple[str, ...]]:
    """Return who answers requests, and the hosts that a policy may go to."""
    if pages is None:
        return nothing, ()
    if isinstance(pages, Mapping):
        return _look_up(pages), tuple(dict.fromkeys(map(_host, pages)))
    return pages, (_host(url),)


def _look_up(pages: Mapping[str, str]) -> Callable[[Request], Reply | None]:
    hosts = frozenset(map(_host, pages))

    def answer(request: Request) -> Reply | None:
        body = pages.get(request.url.partition("#")[0])
        if body is not None:
            return Reply(body)
        known = _host(request.url) in hosts
        return Reply("<!doctype html><h1>Not found</h1>", status=404) if known else None

    return answer


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _same(url: str, other: str) -> bool:
    """Say whether two addresses are one; a host alone is its first page."""
    one, two = urlsplit(url), urlsplit(other)
    return one._replace(path=one.path or "/") == two._replace(path=two.path or "/")
