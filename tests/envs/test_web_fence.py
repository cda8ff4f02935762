"""The fence: no way out of a page reaches a socket, and an allowlist opens only what it names."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from agentgym_si.envs.web.fence import Network, network_of, web_address
from agentgym_si.envs.web.requests import Reply, Request
from agentgym_si.envs.web.visit import VisitEnv
from agentgym_si.errors import BadInput

Visit = Callable[..., VisitEnv]

HOME = "https://home.test/"  # a page of https may do more
SETTLE_SECONDS = 0.3
"""How long the canary listens after the page has had its time."""


class Canary(NamedTuple):
    """Sockets on the loopback that nobody must reach."""

    tcp: socket.socket
    udp: socket.socket

    @property
    def port(self) -> int:
        return int(self.tcp.getsockname()[1])

    def heard(self, seconds: float = SETTLE_SECONDS) -> bool:
        return bool(select.select([self.tcp, self.udp], [], [], seconds)[0])


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        yield Canary(tcp, udp)


def test_the_canary_hears() -> None:
    """A test of the fence that would pass with any fence."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with (
            socket.create_server(("127.0.0.1", 0)) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, kind) as caller,
        ):
            udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            canary = Canary(tcp, udp)
            assert not canary.heard(0)
            caller.connect(("127.0.0.1", canary.port))
            caller.send(b"x")
            assert canary.heard()


LINK = (
    "document.head.append(Object.assign(document.createElement('link'), {rel: 'REL', href: url}))"
)
FORM = """const form = document.createElement('form');
document.body.append(Object.assign(form, {action: url, method: 'METHOD', target: 'TARGET'}));
form.append(Object.assign(document.createElement('input'), {name: 'a', value: 'b'}));
form.submit();"""
STUN = """const peer = new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:PORT'},
  {urls: 'turn:127.0.0.1:PORT?transport=tcp', username: 'a', credential: 'b'}]});
peer.createDataChannel('x');
await peer.setLocalDescription(await peer.createOffer());"""

CHANNELS = {
    "fetch": "await fetch(url, {mode: 'no-cors'}).catch(() => 0)",
    "fetch keepalive": "fetch(url, {mode: 'no-cors', keepalive: true}).catch(() => 0)",
    "fetch redirected": "await fetch('/redirect').catch(() => 0)",
    "request": "const ask = new XMLHttpRequest(); ask.open('GET', url); ask.send()",
    "beacon": "navigator.sendBeacon(url, 'x')",
    "web socket": "new WebSocket('ws://127.0.0.1:PORT/')",
    "event source": "new EventSource(url)",
    "image": "new Image().src = url",
    "script": "document.head.append(Object.assign(document.createElement('script'), {src: url}))",
    "module": "await import(url).catch(() => 0)",
    "style": LINK.replace("REL", "stylesheet"),
    "style import": "document.head.append(Object.assign(document.createElement('style'), "
    "{textContent: `@import url('${url}');`}))",
    "style url": "document.body.style = `background: url('${url}')`",
    "font": "await new FontFace('a', `url('${url}')`).load().catch(() => 0)",
    "video": "document.body.append(Object.assign(document.createElement('video'), {src: url}))",
    "object": "document.body.append(Object.assign(document.createElement('object'), {data: url}))",
    "frame": "document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
    "frame of text": "document.body.append(Object.assign(document.createElement('iframe'), "
    "{srcdoc: `<img src='${url}'>`}))",
    "ping": "document.body.append(Object.assign(document.createElement('a'), "
    "{href: '#x', ping: url, id: 'ping'})); document.getElementById('ping').click()",
    **{
        rel: LINK.replace("REL", rel)
        for rel in (
            "prefetch",
            "preconnect",
            "dns-prefetch",
            "prerender",
            "modulepreload",
            "icon",
            "manifest",
        )
    },
    "preload": LINK.replace("REL", "preload").replace("href: url", "href: url, as: 'fetch'"),
    "speculation": "document.head.append(Object.assign(document.createElement('script'), "
    "{type: 'speculationrules', textContent: JSON.stringify({prefetch: [{source: 'list', "
    "urls: [url]}], prerender: [{source: 'list', urls: [url]}]})}))",
    "web rtc": STUN,
    "popup": "window.open(url)",
    "popup without opener": "window.open(url, '_blank', 'noopener')",
    "popup redirected": "window.open('/redirect')",
    "navigation": "location.href = url",
    "navigation redirected": "location.href = '/redirect'",
    "refresh": "document.head.append(Object.assign(document.createElement('meta'), "
    "{httpEquiv: 'refresh', content: `0;url=${url}`}))",
    "form by get": FORM.replace("METHOD", "get").replace("TARGET", "_self"),
    "form by post": FORM.replace("METHOD", "post").replace("TARGET", "_self"),
    "form to a new page": FORM.replace("METHOD", "post").replace("TARGET", "_blank"),
    "download": "Object.assign(document.createElement('a'), {href: url, download: 'a'}).click()",
    "worker": "new Worker(URL.createObjectURL(new Blob([`importScripts('${url}')`]))).onerror "
    "= () => 0",
    "worker's fetch": "new Worker(URL.createObjectURL(new Blob([`fetch('${url}', "
    "{mode: 'no-cors'}).catch(() => 0)`])))",
    "shared worker": "new SharedWorker(URL.createObjectURL(new Blob([`fetch('${url}', "
    "{mode: 'no-cors'}).catch(() => 0)`])))",
    "service worker": "await navigator.serviceWorker?.register('/worker.js').catch(() => 0)",
    "web transport": "new WebTransport('https://127.0.0.1:PORT/').ready.catch(() => 0)",
    "file": "await fetch('file:///etc/hostname').then(() => { location.href = url }, () => 0)",
    "payment": "await new PaymentRequest([{supportedMethods: url}], {total: {label: 'a', "
    "amount: {currency: 'USD', value: '1'}}}).canMakePayment().catch(() => 0)",
}


def world(port: int) -> Callable[[Request], Reply | None]:
    """Answer as a site whose every page knows the canary's address."""
    url = f"http://127.0.0.1:{port}/"

    def answer(request: Request) -> Reply | None:
        if not request.url.startswith(HOME):
            return None
        if request.url.endswith("redirect"):
            return Reply(status=302, headers={"location": url})
        if request.url.endswith("worker.js"):
            return Reply(f"fetch('{url}', {{mode: 'no-cors'}})", "text/javascript")
        return Reply("<!doctype html><body><p>home</p>")

    return answer


@pytest.fixture(scope="module")
def fenced(canary: Canary) -> Iterator[VisitEnv]:
    with VisitEnv(url=HOME, pages=world(canary.port), max_steps=1000, deadline_seconds=15) as env:
        yield env


@pytest.mark.browser
@pytest.mark.parametrize("channel", CHANNELS)
def test_no_way_out_reaches_a_server(fenced: VisitEnv, canary: Canary, channel: str) -> None:
    fenced.reset(seed=0)
    script = CHANNELS[channel].replace("PORT", str(canary.port))
    tried = fenced.evaluate(
        f"(async () => {{ const url = 'http://127.0.0.1:{canary.port}/';"
        f" try {{ {script} }} catch (error) {{ return String(error) }} return 'tried' }})()"
    )
    assert tried == "tried" or "is not defined" in tried or "Security" in tried, tried
    assert "failure" not in fenced.step("noop()")[4]
    assert not canary.heard(0.3 if channel == "web rtc" else 0.05)


@pytest.mark.browser
def test_where_there_is_no_fence_the_same_ways_lead_out() -> None:
    """Ways that lead nowhere even without a fence."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        canary = Canary(tcp, udp)
        pages = world(canary.port)
        with VisitEnv(url=HOME, pages=pages, network="allowlist", hosts=["127.0.0.1"]) as env:
            for channel in ("image", "popup without opener", "web rtc"):
                env.close()  # what nobody answers is never over
                env.reset(seed=0)
                script = CHANNELS[channel].replace("PORT", str(canary.port))
                env.evaluate(
                    f"(async () => {{ const url = 'http://127.0.0.1:{canary.port}/'; {script} }})()"
                )
                assert canary.heard(5), channel
                while canary.heard(0.1):
                    tcp.accept()[0].close()


@pytest.mark.browser
def test_nothing_comes_late(fenced: VisitEnv, canary: Canary) -> None:
    """What was tried before and only goes out after a while, or when its page is left."""
    fenced.reset(seed=0)
    fenced.evaluate(
        f"addEventListener('pagehide', () => navigator.sendBeacon('http://127.0.0.1:{canary.port}/'))"
    )
    fenced.reset(seed=0)
    fenced.step("noop()")
    assert not canary.heard(1.0)


class Handler(BaseHTTPRequestHandler):
    """A page that says where it was asked, and asks elsewhere."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        body = f"""<!doctype html><p>{self.headers["Host"].partition(":")[0]}</p>
        <a href="http://localhost:{port}/">out</a><p id=p>waiting</p><script>
        fetch("http://localhost:{port}/", {{mode: "no-cors"}}).then(
          () => {{ p.textContent = "reached" }}, () => {{ p.textContent = "refused" }});
        </script>""".encode()
        self.server.asked.append(self.headers["Host"])  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.browser
def test_an_allowlist_lets_its_hosts_in_and_no_other(server: ThreadingHTTPServer) -> None:
    """The same server by a name that is not on the list."""
    port = server.server_address[1]
    url = f"http://127.0.0.1:{port}/"
    with VisitEnv(url=url, network="allowlist", hosts=["127.0.0.1"], deadline_seconds=15) as env:
        observation, info = env.reset(seed=0)
        assert "failure" not in info
        assert '[1] text "127.0.0.1"' in observation
        assert 'text "refused"' in env.step("noop()")[0]
        observation, *_, info = env.step("click('2')")
        assert info["url"] == url
        assert "error: blocked url" in env.step(f"goto('http://localhost:{port}/')")[0]
        assert "failure" not in env.step("noop()")[4]
    assert set(server.asked) == {f"127.0.0.1:{port}"}  # type: ignore[attr-defined]


@pytest.mark.browser
def test_a_server_that_is_not_there_is_a_page_not_a_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with VisitEnv(url=url, network="allowlist", hosts=["127.0.0.1"], deadline_seconds=8) as env:
        env.reset(seed=0)
        assert env.env_seconds < 8


def test_hosts_are_names_and_patterns() -> None:
    network = network_of("allowlist", ("Example.org", "*.wiki.test"))
    assert network.permits("https://example.org:8443/a?b")
    assert network.permits("wss://en.wiki.test/")
    for url in (
        "https://www.example.org/",
        "https://wiki.test/",
        "https://evilwiki.test/",
        "https://example.org.evil.test/",
        "https://example.org@evil.test/",
        "ftp://example.org/",
        "file://example.org/etc/hostname",
        "https://[broken/",
        "about:blank",
    ):
        assert not network.permits(url), url
    assert Network("open").permits("http://anything.test/")
    assert not Network().permits("http://anything.test/")


def test_wrong_networks_are_refused() -> None:
    for mode, hosts in (
        ("some", ()),
        ("allowlist", ()),
        ("none", ("a.test",)),
        ("open", ("a.test",)),
        ("allowlist", ("http://a.test/",)),
        ("allowlist", ("a.test, EXCLUDE *",)),
        ("allowlist", ("*",)),
    ):
        with pytest.raises(BadInput, match="expected"):
            network_of(mode, hosts)


def test_an_address_of_the_web_has_a_plain_host() -> None:
    for url in ("http://a.test", "https://a-b.test:80/x?y#z", "http://[::1]:8/", "HTTP://A.test/"):
        assert web_address(url), url
    for url in (
        "http://a.test\\@b.test/",
        "http://a@b.test/",
        "http://",
        "http://a b/",
        "http:/a/",
        "http://a.test/\n",
        "javascript:http://a.test/",
        "http://.test/",
        "http://a..b/",
    ):
        assert not web_address(url), url
