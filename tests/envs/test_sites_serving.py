"""Guards the sites as people see them: on a port of this machine, with forms that work."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from agentgym_si.envs.sites.filling import draw_world
from agentgym_si.envs.sites.serving import SitesServer
from agentgym_si.errors import BadInput

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def server() -> Iterator[SitesServer]:
    with SitesServer(draw_world(np.random.default_rng(0)), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: SitesServer, path: str, form: dict[str, str] | None = None) -> tuple[str, str]:
    """Return the path that was arrived at, and the page."""
    port = server.server_address[1]
    body = None if form is None else urllib.parse.urlencode(form).encode()
    with DIRECT.open(f"http://127.0.0.1:{port}{path}", body, timeout=10) as reply:
        return urllib.parse.urlsplit(reply.url).path, reply.read().decode()


def test_a_person_can_buy_something(server: SitesServer) -> None:
    """A link or a form that leads to a host which does not exist, a redirect that is lost."""
    path, page = get(server, "/")
    assert path == "/find.test/" and 'href="/shop.test/"' in page
    assert not re.search(r'(href|action)="(http|/(?!\w+\.test/))', page)
    path, page = get(server, "/shop.test/cart/add", {"product": "1", "pieces": "2"})
    assert path == "/shop.test/cart" and 'action="/shop.test/cart/remove"' in page
    path, page = get(server, "/shop.test/checkout", {"name": "Ada & Bo", "city": "Rome"})
    assert path == "/shop.test/order/1" and "Ada &amp; Bo" in page
    assert "Your order 1" in get(server, "/mail.test/")[1]
    assert server.sites.world.orders[0].city == "Rome"


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/example.com/", None, 404),
        ("/shop.test/item/999", None, 404),
        ("/shop.test/item/1", {"a": "b"}, 404),
        ("/shop.test/checkout", {"name": "x" * 70000}, 413),
    ],
)
def test_what_is_not_there_is_an_error(
    server: SitesServer, path: str, form: dict[str, str] | None, status: int
) -> None:
    """A server that dies of a visitor."""
    before = server.sites.world
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server, path, form)
    assert caught.value.code == status
    caught.value.close()
    assert server.sites.world == before
    assert get(server, "/wiki.test/")[0] == "/wiki.test/"


def test_a_port_that_is_taken_is_said(server: SitesServer) -> None:
    """A traceback for a second window."""
    with pytest.raises(BadInput, match="cannot be served"):
        SitesServer(server.sites.world, server.server_address[1])
