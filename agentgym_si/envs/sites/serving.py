"""The sites on a port of this machine, for people to look at: `http://127.0.0.1:PORT/shop.test/`."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from agentgym_si.envs.sites.html import document
from agentgym_si.envs.sites.internet import HOME, SITES
from agentgym_si.envs.sites.playing import Server
from agentgym_si.envs.sites.requests import Request
from agentgym_si.envs.sites.world import World
from agentgym_si.errors import BadInput

HOST = "127.0.0.1"

MOST_BYTES = 1 << 16
"""Of a form."""


class SitesServer(ThreadingHTTPServer):
    """Serves one world, which its visitors change; nothing of it is kept."""

    daemon_threads = True

    def __init__(self, world: World, port: int) -> None:
        """Listen on a port of this machine alone, 0 for a free one; raises BadInput."""
        self.sites = Server(world)
        self.turn = threading.Lock()
        """Held by who answers: one request after the other."""
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise BadInput(f"port {port} of {HOST} cannot be served: {error}") from error

    def place(self, url: str, host: str = "") -> str:
        """Return where a URL of a site is served; one without a host is on `host`."""
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return f"/{parts.hostname or host}{parts.path or '/'}{query}"

    def address(self, url: str = HOME) -> str:
        """Return where a page is served, as a whole URL; without one, the page of all sites."""
        return f"http://{HOST}:{self.server_address[1]}{self.place(url)}"


class _Handler(BaseHTTPRequestHandler):
    """Answers a person's browser; every answer is a whole page or a redirect."""

    server: SitesServer

    def do_GET(self) -> None:
        """Answer a page."""
        self._answer("")

    def do_POST(self) -> None:
        """Take a form."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.send_error(413)
            return
        self._answer(self.rfile.read(int(length)).decode("utf-8", "replace"))

    def _answer(self, body: str) -> None:
        host, _, rest = self.path.lstrip("/").partition("/")
        if host not in SITES:
            self._send(303, self.server.place(HOME)) if not host else self.send_error(404)
            return
        request = Request(self.command, f"http://{host}/{rest}", body)
        with self.server.turn:
            reply = self.server.sites(request)
        if reply.body is None:
            self._send(reply.status, self.server.place(reply.location))
        else:
            page = document(reply, lambda url: self.server.place(url, host))
            self._send(reply.status, "", page)

    def _send(self, status: int, location: str, page: str = "") -> None:
        content = page.encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep each request out of the terminal."""
