"""What a page is given: an environment's answer, the network where it may, or nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from agentgym_si.envs.web.fence import Network

if TYPE_CHECKING:
    from playwright.async_api import Page, Route, WebSocketRoute
    from playwright.async_api import Request as BrowserRequest

    from agentgym_si.envs.web.cassette import Cassette


class Request(NamedTuple):
    """What a page asks for."""

    method: str
    url: str
    body: str = ""
    """Of a POST: the form as the page encoded it."""


@dataclass(frozen=True)
class Reply:
    """What a page is given."""

    body: str | bytes = ""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


MAX_HOPS = 20
"""Times that a page may go on to another after one action."""

Answer = Callable[[Request], "Reply | None"]
"""What a request gets: None where the environment has nothing there."""


def nothing(_: Request) -> Reply | None:
    """Answer nothing."""
    return None


class Gate:
    """The one place that every request of a session passes; what it has nothing for, it refuses."""

    def __init__(self, network: Network, refused: Callable[[Page], None]) -> None:
        """Let through what `network` permits; call `refused` with a page that is not let go."""
        self.network = network
        self._refused = refused
        self._answer: Answer = nothing
        self.hosts: tuple[str, ...] = ()
        self._cassette: Cassette | None = None
        self._origins: dict[str, None] = {}
        self._hops: Counter[Page] = Counter()
        self._going: dict[Page, BrowserRequest] = {}
        self.restless = False
        """Whether a page went on to another too often since the last action."""

    def begin(
        self, answer: Answer, hosts: Sequence[str] = (), cassette: Cassette | None = None
    ) -> None:
        """Answer a new episode's requests; a policy may go to any page of `hosts`."""
        self._answer, self.hosts, self._cassette = answer, tuple(hosts), cassette
        if cassette is not None:
            cassette.rewind()
        self._origins.clear()
        self._going.clear()
        self.begin_action()

    def begin_action(self) -> None:
        """Count anew how often a page goes on to another."""
        self._hops.clear()
        self.restless = False

    def leads_somewhere(self, url: str) -> bool:
        """Say whether a policy may go to a page by its address."""
        host = urlsplit(url).hostname or ""
        return host in self.hosts or self.network.permits(url)

    def expected(self) -> str:
        """Return what `leads_somewhere` allows, in words."""
        if self.network.mode == "open":
            return "an http or https address"
        hosts = [*self.hosts, *self.network.hosts]
        return f"a page of {', '.join(hosts)}" if hosts else "the one page of this episode"

    def origins(self) -> list[str]:
        """Return the origins of the pages that the episode has been given."""
        return list(self._origins)

    async def route(self, route: Route) -> None:
        """Answer a request, let it out, or refuse it: a page that is refused stays where it is."""
        request = route.request
        page = _page_of(request) if request.is_navigation_request() else None
        if page is not None:
            self._going[page] = request
            self._hops[page] += 1
            if self._hops[page] > MAX_HOPS:
                self.restless = True
                await self._refuse(route, page)
                return
        asked = Request(request.method, request.url, request.post_data or "")
        reply = self._answer(asked)
        if reply is None and self._cassette is not None and not self._cassette.recording:
            reply = self._cassette.replay(asked)
        elif reply is None and self.network.permits(request.url):
            self._note(request.url)
            await self._let_out(route, asked)
            return
        if reply is not None:
            self._note(request.url)
            reply = _followed(reply)
            headers = {"content-type": reply.kind, "cache-control": "no-store", **reply.headers}
            await route.fulfill(status=reply.status, headers=headers, body=reply.body)
        elif request.is_navigation_request():
            await self._refuse(route, page)
        else:
            await route.abort("blockedbyclient")

    def failed(self, request: BrowserRequest) -> None:
        """Take note of a request that came to nothing: what was to be a page may be a download."""
        page = _page_of(request) if request.is_navigation_request() else None
        if page is not None and self._going.get(page) is request:
            self._refused(page)

    async def _refuse(self, route: Route, page: Page | None) -> None:
        await route.fulfill(status=204)
        if page is not None:
            self._refused(page)

    async def _let_out(self, route: Route, asked: Request) -> None:
        """Send a request to the network, and record its reply where that is wished for."""
        if self._cassette is None:
            await route.continue_()
            return
        reply = await route.fetch(max_redirects=0)
        body = await reply.body()
        self._cassette.record(asked, reply.status, reply.headers, body)
        await route.fulfill(response=reply, body=body)

    async def socket(self, socket: WebSocketRoute) -> None:
        """Connect a web socket that may go out, close any other."""
        if self.network.permits(socket.url):
            socket.connect_to_server()
        else:
            await socket.close()

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        self._origins[f"{parts.scheme}://{parts.netloc}"] = None


def _followed(reply: Reply) -> Reply:
    """Return a redirect as a page that goes on by itself.

    Chromium follows a redirect without asking us again, which would lead past the environment.
    """
    if not 300 <= reply.status < 400 or "location" not in reply.headers:
        return reply
    target = json.dumps(reply.headers["location"]).replace("<", "\\u003c")
    return Reply(f"<!doctype html><script>location.replace({target})</script>")


def _page_of(request: BrowserRequest) -> Page | None:
    """Return the page whose own document a request is for; None for a part of it, or a new page."""
    from playwright.async_api import Error

    try:
        frame = request.frame
    except Error:  # Playwright has no frame yet for the first document of a new page
        return None
    return frame.page if frame.parent_frame is None else None
