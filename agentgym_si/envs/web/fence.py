"""What a browser may reach: nothing, some hosts, or the open web; nothing by default.

Requests are answered or refused one by one (`Session`); what request interception does not see
(prefetch, sockets, WebRTC, redirects) finds no host, by Chromium's own options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from agentgym_si.errors import BadInput

Mode = Literal["none", "allowlist", "open"]

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

_ADDRESS = re.compile(
    r"https?://([\w-]+(\.[\w-]+)*|\[[0-9a-f:.]+\])(:\d{1,5})?([/?#][^\x00-\x1f]*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Network:
    """What the browser may reach beyond what an environment answers itself.

    `hosts` are names or addresses for mode "allowlist"; `*.example.org` stands for the hosts below
    example.org. Ports are free. In mode "open" nothing is held back but other schemes than http(s)
    and ws(s).
    """

    mode: Mode = "none"
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the hosts; raises BadInput."""
        if self.mode not in ("none", "allowlist", "open"):
            raise BadInput(
                f"expected network to be none, allowlist or open, got {str(self.mode)[:40]!r}"
            )
        if (self.mode == "allowlist") != bool(self.hosts):
            raise BadInput(f"expected hosts with network=allowlist only, got {self.hosts!r}")
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise BadInput(f"expected a host such as example.org, got {host[:80]!r}")

    def permits(self, url: str) -> bool:
        """Say whether a request to `url` may go out."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https", "ws", "wss") or not host:
            return False
        return self.mode == "open" or any(_matches(host, pattern) for pattern in self.hosts)

    def arguments(self) -> list[str]:
        """Return Chromium's options that hold what request interception does not see."""
        webrtc = "--force-webrtc-ip-handling-policy=disable_non_proxied_udp"
        if self.mode == "open":
            return [webrtc]
        excluded = "".join(f", EXCLUDE {host}" for host in self.hosts)
        # <-loopback> comes first: otherwise loopback would never go through the dead proxy.
        bypass = ";".join(["<-loopback>", *self.hosts])
        return [
            f"--host-resolver-rules=MAP * ~NOTFOUND{excluded}",
            "--proxy-server=http://0.0.0.0:1",
            f"--proxy-bypass-list={bypass}",
            webrtc,
        ]


def network_of(mode: str, hosts: tuple[str, ...] = ()) -> Network:
    """Return the network of an environment's two arguments; raises BadInput."""
    return Network(mode, tuple(host.lower() for host in hosts))  # type: ignore[arg-type]


def web_address(url: str) -> bool:
    r"""Say whether a text is an address of the web: http or https, with a plain host.

    Browsers read on where parsers stop: to them `http://a\@b/` is a page of a, not of b.
    """
    return _ADDRESS.fullmatch(url) is not None


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
