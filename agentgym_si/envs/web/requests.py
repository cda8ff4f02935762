"""What a page is given: an environment's answer, the network where it may, or nothing."""

from __future__ import annotations

import json
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

    def begin(
        self, answer: Answer, hosts: Sequence[str] = (), cassette: Cassette | None = None
    ) -> None:
        """Answer a new episode's requests; a policy may go to any page of `hosts`."""
        self._answer, self.hosts, self._cassette = answer, tuple(hosts), cassette
        if cassette is not None:
            cassette.rewind()
        self._origins.clear()

    @property
    def cookies(self) -> bool:
        """Whether pages may have cookies that no script sees."""
        return self.network.mode != "none" or self._cassette is not None

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
            await route.fulfill(status=204)
            page = _page_of(request)
            if page is not None:
                self._refused(page)
        else:
            await route.abort("blockedbyclient")

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
