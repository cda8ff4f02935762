"""One episode's browser context: its tabs, its fence, and actions carried out with real input."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgym_si.envs.web.actions import Call
from agentgym_si.envs.web.hub import Hub
from agentgym_si.errors import ActionError, EnvFailure

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
DRAG_MOVES = 4
_MODIFIER_BITS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_HTML = {"content-type": "text/html; charset=utf-8"}

Answer = Callable[[str], "str | None"]
"""What a request gets: a document's HTML for its URL, or None where nothing is there."""


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
        answer = await self._send(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
            tab,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            raise EnvFailure("page_error", thrown.splitlines()[0])
        return answer["result"].get("value")

    def notes(self) -> list[str]:
        """Return the observation's extra lines: dialogs of the last action, and tabs."""
        notes = [f"dialog {json.dumps(text, ensure_ascii=False)}" for text in self.dialogs]
        if len(self.tabs) > 1:
            notes.append(f"tabs: {len(self.tabs)}, you see tab {self.active}")
        return notes

    async def screenshot(self, clip: dict[str, float]) -> bytes:
        """Return a PNG of a part of the first tab."""
        return await self.tabs[0].page.screenshot(clip=clip)  # type: ignore[arg-type]

    async def _send(
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
        body = self._answer(route.request.url)
        if body is not None:
            await route.fulfill(status=200, headers=_HTML, body=body)
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

    # Actions ------------------------------------------------------------------------------

    async def perform(self, call: Call) -> None:
        """Carry an action out; raises ActionError where the page does not allow it."""
        self.dialogs.clear()
        handler: Callable[..., Awaitable[None]] | None = getattr(self, f"_do_{call.name}", None)
        if handler is None:
            raise ActionError(f"{call.name} does nothing here")
        await handler(*call.arguments)
        await asyncio.gather(*self._adoptions.values())

    async def _ask(self, function: str, *arguments: Any) -> Any:
        """Call one of the page script's functions; raises ActionError for what it refuses."""
        encoded = ", ".join(json.dumps(argument) for argument in arguments)
        answer = await self.evaluate(f"__agentgym.{function}({encoded})")
        if isinstance(answer, dict) and "error" in answer:
            raise ActionError(answer["error"])
        return answer

    async def _spot(self, bid: int, enabled: bool = True) -> tuple[float, float]:
        spot = await self._ask("locate", bid, enabled)
        return spot["x"], spot["y"]

    async def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.pointer = (x, y)
        await self._send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})

    async def _press_at(
        self, x: float, y: float, button: str, modifiers: tuple[str, ...] = (), count: int = 1
    ) -> None:
        mask = sum(_MODIFIER_BITS[name] for name in modifiers)
        events = [self._mouse("mouseMoved", x, y, modifiers=mask)]
        for nth in range(1, count + 1):
            more = {"button": button, "clickCount": nth, "modifiers": mask}
            events.append(self._mouse("mousePressed", x, y, **more))
            events.append(self._mouse("mouseReleased", x, y, **more))
        await asyncio.gather(*events)

    async def _do_noop(self, _: float) -> None:
        return

    async def _do_click(self, bid: int, button: str, modifiers: tuple[str, ...]) -> None:
        await self._press_at(*await self._spot(bid), button, modifiers)

    async def _do_dblclick(self, bid: int, button: str, modifiers: tuple[str, ...]) -> None:
        await self._press_at(*await self._spot(bid), button, modifiers, count=2)

    async def _do_hover(self, bid: int) -> None:
        await self._mouse("mouseMoved", *await self._spot(bid, enabled=False))

    async def _do_fill(self, bid: int, value: str) -> None:
        await self._spot(bid)
        if (await self._ask("prepare", bid, value))["typed"]:
            await self._send("Input.insertText", {"text": value})

    async def _do_clear(self, bid: int) -> None:
        await self._do_fill(bid, "")

    async def _do_focus(self, bid: int) -> None:
        await self._spot(bid)
        if not await self._ask("focus", bid):
            raise ActionError(f"element [{bid}] cannot be focused")

    async def _do_press(self, bid: int, key_comb: str) -> None:
        await self._do_focus(bid)
        await self._do_keyboard_press(key_comb)

    async def _do_keyboard_press(self, key_comb: str) -> None:
        from playwright.async_api import Error

        try:
            await self.tabs[self.active].page.keyboard.press(key_comb)
        except Error as error:
            if "Unknown key" not in error.message:
                raise
            raise ActionError(
                f"expected a key such as 'Enter' or 'Control+c', got {key_comb[:40]!r}"
            ) from None

    async def _do_keyboard_type(self, text: str) -> None:
        await self.tabs[self.active].page.keyboard.type(text)

    async def _do_select_option(self, bid: int, options: tuple[str, ...]) -> None:
        await self._spot(bid)
        await self._ask("choose", bid, list(options))

    async def _do_scroll(self, across: float, down: float) -> None:
        await self._ask("scroll", across, down, *self.pointer)

    async def _do_drag_and_drop(self, from_bid: int, to_bid: int) -> None:
        start = await self._spot(from_bid)
        end = await self._spot(to_bid, enabled=False)
        await self._do_mouse_drag_and_drop(*start, *end)

    async def _do_mouse_drag_and_drop(
        self, from_x: float, from_y: float, to_x: float, to_y: float
    ) -> None:
        held = {"button": "left", "buttons": 1}
        await self._mouse("mouseMoved", from_x, from_y)
        await self._mouse("mousePressed", from_x, from_y, button="left", clickCount=1)
        for nth in range(1, DRAG_MOVES + 1):
            part = nth / DRAG_MOVES
            x, y = from_x + part * (to_x - from_x), from_y + part * (to_y - from_y)
            await self._mouse("mouseMoved", x, y, **held)
        await self._mouse("mouseReleased", to_x, to_y, button="left", clickCount=1)

    async def _do_mouse_move(self, x: float, y: float) -> None:
        await self._mouse("mouseMoved", x, y)

    async def _do_mouse_click(self, x: float, y: float, button: str) -> None:
        await self._press_at(x, y, button)

    async def _do_mouse_dblclick(self, x: float, y: float, button: str) -> None:
        await self._press_at(x, y, button, count=2)

    async def _do_goto(self, url: str) -> None:
        raise ActionError(f"blocked url {url[:80]!r}; the episode has this one page")

    async def _do_go_back(self) -> None:
        raise ActionError("there is no page to go back to")

    async def _do_go_forward(self) -> None:
        raise ActionError("there is no page to go forward to")

    async def _do_new_tab(self) -> None:
        if len(self._adoptions) >= MAX_TABS:
            raise ActionError(f"expected at most {MAX_TABS} tabs")
        await self._adopt(await self.tabs[0].page.context.new_page())

    async def _do_tab_focus(self, index: int) -> None:
        if index >= len(self.tabs):
            raise ActionError(f"expected a tab below {len(self.tabs)}, got {index}")
        self.active = index

    async def _do_tab_close(self) -> None:
        if self.active == 0:
            raise ActionError("the task's own tab stays open")
        tab = self.tabs.pop(self.active)
        del self._adoptions[tab.page]
        self.active = 0
        await tab.page.close()

    async def _do_send_msg_to_user(self, _: str) -> None:
        return


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


def _nothing(_: str) -> str | None:
    return None


async def _refuse_socket(socket: WebSocketRoute) -> None:
    await socket.close()
