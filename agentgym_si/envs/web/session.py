"""A browser context: its tabs, what its requests are given, and the line to its pages.

A session lives for many episodes. `begin` loads an episode's first page in it, after all that the
one before could have left (tabs, storage, cookies, history, pointer) is gone.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentgym_si.envs.web.cassette import Cassette
from agentgym_si.envs.web.hub import Hub
from agentgym_si.envs.web.requests import Answer, Gate
from agentgym_si.errors import EnvFailure

if TYPE_CHECKING:
    from playwright.async_api import (
        BrowserContext,
        CDPSession,
        Dialog,
        Page,
        ViewportSize,
    )

T = TypeVar("T")

EPOCH_MILLISECONDS = 1_704_103_200_000
"""Every episode begins at 2024-01-01 10:00 UTC."""

EPISODES = 200
"""Episodes after which a context is replaced: what a renderer keeps of each adds up."""

VIEWPORT: ViewportSize = {"width": 332, "height": 214}
MAX_TABS = 5

LOAD_SECONDS = 10.0
"""How long a page may take to load before it is read as it is."""

MAX_HOPS = 10
"""Pages that may follow each other by themselves after one action."""

FRAME_PAUSE_SECONDS = 0.002
"""Between two frames that are drawn until something has happened."""

_AWAY = {"type": "mouseMoved", "x": -1, "y": -1}
_LET_GO = {"type": "mouseReleased", "x": -1, "y": -1, "clickCount": 1}
_STORED = "local_storage,indexeddb,cache_storage,service_workers,file_systems"
_LEFT = ("Inspected target navigated", "Execution context was destroyed", "Cannot find context")


@dataclass
class Tab:
    """A page and the direct line to it."""

    page: Page
    line: CDPSession
    drawn: bool
    """Whether its frames are drawn when we say."""
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the next page that has loaded, or that was refused."""


class Session:
    """A browser context; opened by `open_session`, closed once."""

    def __init__(self, hub: Hub, viewport: ViewportSize) -> None:
        """Use `open_session`."""
        self._hub = hub
        self.viewport = viewport
        self.tabs: list[Tab] = []
        self.active = 0
        self.dialogs: list[str] = []
        self.episodes = 0
        self.spoiled = False
        """Whether a call failed, so that nothing is known of the page's state."""
        self.pointer = (80.0, 130.0)
        self.held = "none"
        """The mouse button that is held down."""
        self.gate = Gate(hub.network, self._mark_refused)
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._adoptions: dict[Page, asyncio.Task[None]] = {}
        self._context: BrowserContext | None = None
        self._seeding = ""
        self.home = ""
        """The episode's first page."""

    async def prepare(self) -> Session:
        """Make the context and an empty first tab; nothing in it knows an episode."""
        self._hub.users += 1
        try:
            self._context, made = await self._hub.new_context(
                self.viewport,
                locale="en-US",
                timezone_id="UTC",
                service_workers="block",
                accept_downloads=False,
                reduced_motion="reduce",
            )
            await asyncio.gather(
                self._context.route("**/*", self.gate.route),
                self._context.route_web_socket("**/*", self.gate.socket),
                self._context.add_init_script(page_script()),
            )
            page = await self._hub.new_page(self._context, made)
            self._context.on("page", self._adopt_popup)
            await self._adopt(page)
        except BaseException:  # cancelled by a deadline, too: the context must not stay behind
            self._hub.later(self.close)
            raise
        return self

    @property
    def usable(self) -> bool:
        """Whether another episode may begin in it.

        A page can only empty its own origin's session storage: a session that has been given pages
        of several is for one episode.
        """
        good = not self.spoiled and not self._crashed.done() and not self._hub.broken
        fresh = self.episodes < EPISODES and len(self.gate.origins()) <= 1
        return good and fresh and not self._hub.retired

    @property
    def clock(self) -> str:
        """Who says when a page is drawn: "frames" (we do) or "clock" (the browser's own)."""
        return "frames" if self.tabs[0].drawn else "clock"

    async def begin(
        self,
        url: str,
        answer: Answer,
        *,
        hosts: Sequence[str] = (),
        seed: int | None = None,
        cassette: Cassette | None = None,
    ) -> None:
        """Load an episode's first page, all its requests given what `answer` says.

        A policy may go to any page of `hosts`. `seed` fixes the chance of every page that the
        first tab loads.
        """
        if self.episodes:
            await self._forget()
        self.episodes += 1
        self._hub.note_episode()
        self.gate.begin(answer, hosts, cassette)
        self.home = url
        self.pointer = (80.0, 130.0)
        if seed is not None:
            await self._seed(seed)
        await self.goto(url)
        await self.tabs[0].line.send("Page.resetNavigationHistory")

    async def goto(self, url: str) -> None:
        """Go to a page in the active tab and wait until it has loaded, or was refused."""
        tab = self.tabs[self.active]
        tab.loaded.clear()
        await self.send("Page.navigate", {"url": url})
        await self._arrive(tab)

    async def back(self, by: int) -> bool:
        """Go `by` pages through the tab's history; return False where there is none."""
        history = await self.send("Page.getNavigationHistory", {})
        index = history["currentIndex"] + by
        if not 0 <= index < len(history["entries"]):
            return False
        tab = self.tabs[self.active]
        tab.loaded.clear()
        entry = history["entries"][index]["id"]
        await self.send("Page.navigateToHistoryEntry", {"entryId": entry})
        await self._arrive(tab)
        return True

    async def interrupt(self) -> None:
        """Stop the scripts of every tab: one of them may never end by itself."""
        lines = [tab.line for tab in self.tabs]
        await asyncio.gather(*(line.send("Runtime.terminateExecution") for line in lines))

    async def close(self) -> None:
        """Close the context and all its tabs."""
        if self._context is not None:
            context, self._context = self._context, None
            self._hub.users -= 1
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

    async def settle(self, expression: str, tab: int | None = None) -> Any:
        """Return an expression's value once the page stands still.

        The expression gives {"leaving": true} where the page is on its way to another; it is then
        asked of that one.
        """
        from playwright.async_api import Error

        index = self.active if tab is None else tab
        for _ in range(MAX_HOPS):
            here = self.tabs[index]
            if here.drawn:
                await self._hub.draw(here.line)
            try:
                state = await self.evaluate(expression, index)
            except Error as error:
                if not any(sign in error.message for sign in _LEFT):
                    raise
                state = {"leaving": True}
            if not (isinstance(state, dict) and state.get("leaving")):
                return state
            await self._arrive(here)
        raise EnvFailure("page_restless", f"the page went on to another {MAX_HOPS} times")

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

    async def screenshot(self) -> str:
        """Return what the first tab shows, as base64 of a PNG."""
        tab = self.tabs[0]
        if tab.drawn:
            return await self._hub.draw(tab.line, screenshot=True)
        answer = await self.send("Page.captureScreenshot", {"optimizeForSpeed": True}, tab=0)
        return str(answer["data"])

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

    async def draw_until(self, work: asyncio.Future[T]) -> T:
        """Draw frames of the active tab until `work` is done, where it is we who draw."""
        tab = self.tabs[self.active]
        while tab.drawn and not work.done():
            await self._hub.draw(tab.line)
            await asyncio.wait((work,), timeout=FRAME_PAUSE_SECONDS)
        return await work

    # Inside -------------------------------------------------------------------------------

    async def _forget(self) -> None:
        """Undo what an episode may have left in the context."""
        while len(self.tabs) > 1:
            self.active = len(self.tabs) - 1
            await self.close_tab()
        self.active, self.dialogs = 0, []
        if self.held != "none":
            await self.send("Input.dispatchMouseEvent", {**_LET_GO, "button": self.held})
            self.held = "none"
        chores: list[Coroutine[Any, Any, Any]] = [
            self._forget_cookies(),
        ]
        for origin in self.gate.origins():
            stored = {"origin": origin, "storageTypes": _STORED}
            chores.append(self.send("Storage.clearDataForOrigin", stored))
            session_storage = {"securityOrigin": origin, "isLocalStorage": False}
            chores.append(self.send("DOMStorage.clear", {"storageId": session_storage}))
        leaving = asyncio.ensure_future(self.send("Input.dispatchMouseEvent", _AWAY))
        await asyncio.gather(self.draw_until(leaving), *chores)

    async def _forget_cookies(self) -> None:
        set_by_script = await self.evaluate("window.name = '', document.cookie !== ''")
        if set_by_script or self.gate.cookies:
            await self.send("Network.clearBrowserCookies", {})

    async def _seed(self, seed: int) -> None:
        line = self.tabs[0].line
        if self._seeding:
            old = {"identifier": self._seeding}
            await line.send("Page.removeScriptToEvaluateOnNewDocument", old)
        source = {"source": f"__agentgym.seed({seed % 2**32})"}
        answer = await line.send("Page.addScriptToEvaluateOnNewDocument", source)
        self._seeding = answer["identifier"]

    async def _arrive(self, tab: Tab) -> None:
        """Wait until the tab's next page has loaded, or was refused."""
        waiting = asyncio.ensure_future(tab.loaded.wait())
        try:
            await asyncio.wait(
                (waiting, self._crashed),
                timeout=LOAD_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
        tab.loaded.clear()

    def _mark_refused(self, page: Page) -> None:
        for tab in self.tabs:
            if tab.page is page:
                tab.loaded.set()

    def _adopt(self, page: Page) -> asyncio.Task[None]:
        """Return the task that makes a page a tab; one for each page, however often asked."""
        if page not in self._adoptions:
            self._adoptions[page] = self._hub.background(self._attach(page))
        return self._adoptions[page]

    async def _attach(self, page: Page) -> None:
        page.on("dialog", self._hear)
        page.on("crash", self._mark_crashed)
        line = await page.context.new_cdp_session(page)
        tab = Tab(page, line, drawn=self._hub.owns_frames and not self.tabs)
        line.on("Page.loadEventFired", lambda _: tab.loaded.set())

        def draw_when_asked(_: Any) -> None:
            self._hub.background(self._hub.draw(line))

        line.on("Runtime.bindingCalled", draw_when_asked)
        chores = [line.send("Page.enable")]
        if tab.drawn:  # a page that waits for a frame asks for it
            chores.append(line.send("Runtime.enable"))
            chores.append(line.send("Runtime.addBinding", {"name": "__agentgymFrame"}))
        await asyncio.gather(*chores)
        self.tabs.append(tab)

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


async def open_session(hub: Hub, viewport: ViewportSize = VIEWPORT) -> Session:
    """Return a session in a new context; raises Playwright's errors."""
    return await Session(hub, viewport).prepare()


@functools.cache
def page_script() -> str:
    """Return what runs in every page before its own scripts."""
    parts = [_script(name) for name in ("world.js", "snapshot.js", "act.js")]
    own = "\n".join(parts)
    world = f"(() => {{\nconst EPOCH = {EPOCH_MILLISECONDS};\n{own}}})();"
    return f"if (!globalThis.__agentgym) {{\n{world}\n{_script('miniwob.js')}}}"


def _script(name: str) -> str:
    return (Path(__file__).parent / "scripts" / name).read_text(encoding="utf-8")
