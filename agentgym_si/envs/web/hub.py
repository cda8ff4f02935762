"""One browser for all environments of a process, behind synchronous calls.

Playwright's asynchronous interface runs in a daemon thread with an event loop of its own, so a call
works from any thread, inside a running event loop, and after a fork (the child gets a new hub).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentgym_si.envs.web.browsers import launch_arguments, sandboxed
from agentgym_si.errors import EnvFailure, MissingDependency

if TYPE_CHECKING:
    from playwright.async_api import Browser, Error, Playwright

T = TypeVar("T")
logger = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]
"""Something to be done on the hub's loop."""

GRACE_SECONDS = 5.0
"""How long a call may outlive its own deadline before the hub is given up."""

MAX_FAILURES = 3
"""Failed calls in a row after which a browser that still runs is replaced."""


class Hub:
    """A browser and the thread that talks to it; made by `hub_for`."""

    def __init__(self, executable: Path) -> None:
        """Start the thread; the browser is launched by the first `browser()`."""
        self.executable = executable
        self.broken = False
        self._loop = asyncio.new_event_loop()
        self._launching = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="agentgym-si web", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], deadline_seconds: float) -> T:
        """Run a coroutine on the hub's loop and return its result.

        Raises EnvFailure with kind "deadline", "browser_died", "page_crashed" or "browser_error",
        and lets through what else the coroutine raises.
        """
        from playwright.async_api import Error

        if self.broken or not self._thread.is_alive():
            work.close()
            raise EnvFailure("browser_died", "the browser is gone; reset() starts another")
        bounded = asyncio.wait_for(work, deadline_seconds)
        future = asyncio.run_coroutine_threadsafe(bounded, self._loop)
        try:
            result = future.result(deadline_seconds + GRACE_SECONDS)
        except TimeoutError as late:
            self._count_failure(given_up=not future.done())
            future.cancel()
            raise EnvFailure("deadline", f"no answer in {deadline_seconds:g} s") from late
        except CancelledError as gone:
            raise EnvFailure("browser_died", "the browser was closed meanwhile") from gone
        except Error as error:
            kind = self._kind_of(error)
            self._count_failure(given_up=kind == "browser_died")
            raise EnvFailure(kind, error.message.splitlines()[0]) from error
        self._failures = 0
        return result

    async def browser(self) -> Browser:
        """Return the running browser, launching it first where needed."""
        async with self._launching:
            if self._browser is None:
                from playwright.async_api import async_playwright

                # Playwright draws names from the global generator, which is the caller's.
                state = random.getstate()
                self._playwright = await async_playwright().start()
                self._browser = await self._playwright.chromium.launch(
                    executable_path=str(self.executable),
                    args=launch_arguments(),
                    chromium_sandbox=sandboxed(),
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
                random.setstate(state)
                self._browser.on("disconnected", self._mark_broken)
            return self._browser

    def later(self, work: Work) -> None:
        """Run work on the hub's loop without waiting for it; from any thread."""
        if not self.broken and self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: self.background(work()))

    def background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as a task that ends with the hub; only on the loop's own thread."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def close(self) -> None:
        """Close the browser and end the thread; safe to call again."""
        self.broken = True
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop)
        self._thread.join(3 * GRACE_SECONDS)

    # Inside the thread --------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._report)
        self._loop.run_forever()
        self._loop.close()

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what Playwright's own tasks say about a lost browser out of the user's terminal."""
        if self.broken:
            logger.debug("after the browser was lost: %s", context.get("exception"))
        else:
            loop.default_exception_handler(context)

    def _kind_of(self, error: Error) -> str:
        if "crashed" in error.message:
            return "page_crashed"
        lost = self._browser is None or not self._browser.is_connected()
        # Nobody closes a page that a call is at work on: where one is closed, all are.
        return "browser_died" if lost or "closed" in error.message else "browser_error"

    def _count_failure(self, given_up: bool) -> None:
        """Replace the browser at the next reset where it is lost, or fails again and again."""
        self._failures += 1
        self.broken = self.broken or given_up or self._failures >= MAX_FAILURES

    def _mark_broken(self, _: Browser) -> None:
        self.broken = True

    def _finish(self, task: asyncio.Task[Any]) -> None:
        from playwright.async_api import Error

        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (Error, TimeoutError)):
            raise error

    async def _shut_down(self) -> None:
        from playwright.async_api import Error

        await _cancel(self._tasks)
        try:
            if self._browser is not None:
                await asyncio.wait_for(self._browser.close(), GRACE_SECONDS)
            if self._playwright is not None:
                await asyncio.wait_for(self._playwright.stop(), GRACE_SECONDS)
        except (Error, TimeoutError):
            self._browser = None  # it is dead already; its driver ends with our pipe
        finally:
            await _cancel(asyncio.all_tasks() - {asyncio.current_task()})
            self._loop.stop()


async def _cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    pending = [task for task in tasks if task is not None]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


_hubs: dict[Path, Hub] = {}
_guard = threading.Lock()


def hub_for(executable: Path) -> Hub:
    """Return this process's hub for a browser; a broken one is replaced.

    Raises MissingDependency where Playwright is not installed.
    """
    try:
        import playwright.async_api  # noqa: F401
    except ImportError as missing:
        raise MissingDependency(
            "the web environments need Playwright: pip install 'agentgym-si[web]'"
        ) from missing
    with _guard:
        hub = _hubs.get(executable)
        if hub is None or hub.broken:
            if hub is not None:
                threading.Thread(target=hub.close, daemon=True).start()
            hub = _hubs[executable] = Hub(executable)
        return hub


def close_hubs() -> None:
    """Close every browser of this process; the next reset launches a new one."""
    with _guard:
        hubs = list(_hubs.values())
        _hubs.clear()
    for hub in hubs:
        hub.close()


def _forget_after_fork() -> None:
    """Drop the parent's hubs: their threads do not exist here, their browser is not ours."""
    global _guard
    _guard = threading.Lock()
    _hubs.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(close_hubs)
