"""One episode's browser context: its tabs, its fence, and the line to its pages."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentgym_si.envs.web.hub import Hub
from agentgym_si.errors import EnvFailure

if TYPE_CHECKING:
    from playwright.async_api import (
        BrowserContext,
        CDPSession,
        Dialog,
        Page,
        Route,
        ViewportSize,
        WebSocketRoute,
    )

logger = logging.getLogger(__name__)

EPOCH_MILLISECONDS = 1_704_103_200_000
"""Every episode begins at 2024-01-01 10:00 UTC."""

SPARES = 2
"""Contexts kept ready for the next episodes: a fresh renderer takes longer than a page."""

VIEWPORT: ViewportSize = {"width": 332, "height": 214}
MAX_TABS = 5


class Reply(NamedTuple):
    """What a page is given for a URL."""

    body: str | bytes
    kind: str = "text/html; charset=utf-8"


Answer = Callable[[str], "Reply | None"]
"""What a request gets, by its URL: None where nothing is there."""


@dataclass
class Tab:
    """A page and the direct line to it."""

    page: Page
    line: CDPSession


class Session:
    """A fresh browser context; made by `open_session`, closed once."""

    def __init__(self, hub: Hub) -> None:
        """Use `open_session`."""
        self._hub = hub
        self.tabs: list[Tab] = []
        self.active = 0
        self.dialogs: list[str] = []
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pointer = (80.0, 130.0)
        self._answer: Answer = _nothing
        self._adoptions: dict[Page, asyncio.Task[None]] = {}
        self._context: BrowserContext | None = None

    async def prepare(self) -> Session:
        """Make the context and an empty first tab; nothing in it knows the episode."""
        browser = await self._hub.browser()
        self._context = await browser.new_context(
            viewport=VIEWPORT,
            locale="en-US",
            timezone_id="UTC",
            service_workers="block",
            accept_downloads=False,
            reduced_motion="reduce",
        )
        try:
            await asyncio.gather(
                self._context.route("**/*", self._route),
                self._context.route_web_socket("**/*", _refuse_socket),
                self._context.add_init_script(page_script()),
            )
            self._context.on("page", self._adopt_popup)
            await self._adopt(await self._context.new_page())
        except BaseException:  # cancelled by a deadline, too: the context must not stay behind
            self._hub.later(self.close)
            raise
        return self

    @property
    def alive(self) -> bool:
        """Whether no page of the session has crashed."""
        return not self._crashed.done()

    async def load(self, url: str, answer: Answer) -> None:
        """Load a page in the first tab, all requests of the episode answered by `answer`."""
        self._answer = answer
        await self.tabs[0].page.goto(url, wait_until="load")

    async def close(self) -> None:
        """Close the context and all its tabs."""
        if self._context is not None:
            context, self._context = self._context, None
            await context.close()

    async def evaluate(self, expression: str, tab: int | None = None) -> Any:
        """Return a JavaScript expression's value in a tab (the active one by default).

        Raises EnvFailure with kind "page_crashed" or "page_error".
        """
        answer = await self.send(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
            tab,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            raise EnvFailure("page_error", thrown.splitlines()[0])
        return answer["result"].get("value")

    @property
    def page(self) -> Page:
        """The page of the active tab."""
        return self.tabs[self.active].page

    async def adopted(self) -> None:
        """Wait until every page that has opened is a tab."""
        await asyncio.gather(*self._adoptions.values())

    async def open_tab(self) -> bool:
        """Open an empty tab; return False where there are too many."""
        if len(self._adoptions) >= MAX_TABS:
            return False
        await self._adopt(await self.page.context.new_page())
        return True

    async def close_tab(self) -> None:
        """Close the active tab and go to the first."""
        tab = self.tabs.pop(self.active)
        del self._adoptions[tab.page]
        self.active = 0
        await tab.page.close()

    def notes(self) -> list[str]:
        """Return the observation's extra lines: dialogs of the last action, and tabs."""
        notes = [f"dialog {json.dumps(text, ensure_ascii=False)}" for text in self.dialogs]
        if len(self.tabs) > 1:
            notes.append(f"tabs: {len(self.tabs)}, you see tab {self.active}")
        return notes

    async def screenshot(self, clip: dict[str, float]) -> bytes:
        """Return a PNG of a part of the first tab."""
        return await self.tabs[0].page.screenshot(clip=clip)  # type: ignore[arg-type]

    async def send(
        self, method: str, parameters: dict[str, Any], tab: int | None = None
    ) -> dict[str, Any]:
        """Send a command to a tab; raises EnvFailure where its process dies over it."""
        line = self.tabs[self.active if tab is None else tab].line
        sending = asyncio.ensure_future(line.send(method, parameters))
        try:
            await asyncio.wait((sending, self._crashed), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise EnvFailure("page_crashed", "the page's process died")
            return sending.result()
        finally:
            sending.cancel()

    # The fence ----------------------------------------------------------------------------

    async def _route(self, route: Route) -> None:
        reply = self._answer(route.request.url)
        if reply is not None:
            headers = {"content-type": reply.kind}
            await route.fulfill(status=200, headers=headers, body=reply.body)
        elif route.request.is_navigation_request():
            await route.fulfill(status=204)  # the page stays where it is
        else:
            await route.abort("blockedbyclient")

    def _adopt(self, page: Page) -> asyncio.Task[None]:
        """Return the task that makes a page a tab; one for each page, however often asked."""
        if page not in self._adoptions:
            self._adoptions[page] = self._hub.background(self._attach(page))
        return self._adoptions[page]

    async def _attach(self, page: Page) -> None:
        page.on("dialog", self._hear)
        page.on("crash", self._mark_crashed)
        self.tabs.append(Tab(page, await page.context.new_cdp_session(page)))

    def _adopt_popup(self, page: Page) -> None:
        if len(self._adoptions) < MAX_TABS:
            self._adopt(page)
        else:
            self._adoptions[page] = self._hub.background(page.close())

    def _mark_crashed(self, _: Page) -> None:
        if not self._crashed.done():
            self._crashed.set_result(None)

    async def _hear(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        if dialog.type in ("alert", "beforeunload"):
            await dialog.accept()
        else:
            await dialog.dismiss()


async def open_session(hub: Hub) -> Session:
    """Return a session in a context that nothing has used yet; raises Playwright's errors."""
    from playwright.async_api import Error

    ready = _spares.setdefault(hub, [])
    while ready:
        try:
            session = await ready.pop(0)
        except Error as error:
            logger.debug("a spare context failed: %s", error)
            continue
        if session.alive:
            return session
        hub.later(session.close)
    return await Session(hub).prepare()


def keep_spare(hub: Hub) -> None:
    """Start to make a context ready for a later episode, where fewer than SPARES are.

    Only on the hub's own thread.
    """
    ready = _spares.setdefault(hub, [])
    if len(ready) < SPARES:
        ready.append(hub.background(Session(hub).prepare()))


@functools.cache
def page_script() -> str:
    """Return what runs in every page before its own scripts."""
    parts = [_script(name) for name in ("world.js", "snapshot.js", "act.js")]
    own = "\n".join(parts)
    world = f"(() => {{\nconst EPOCH = {EPOCH_MILLISECONDS};\n{own}}})();"
    return f"if (!globalThis.__agentgym) {{\n{world}\n{_script('miniwob.js')}}}"


_spares: weakref.WeakKeyDictionary[Hub, list[asyncio.Task[Session]]] = weakref.WeakKeyDictionary()


def _script(name: str) -> str:
    return (Path(__file__).parent / "scripts" / name).read_text(encoding="utf-8")


def _nothing(_: str) -> None:
    return None


async def _refuse_socket(socket: WebSocketRoute) -> None:
    await socket.close()
