"""Guards the sites themselves, the text browser, and what both say of a page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agentgym_si.envs.sites.env import SitesEnv
from agentgym_si.envs.sites.filling import draw_world
from agentgym_si.envs.sites.guard import check, clean_url
from agentgym_si.envs.sites.html import document
from agentgym_si.envs.sites.internet import HOME, SITES, answer
from agentgym_si.envs.sites.playing import Server
from agentgym_si.envs.sites.requests import Request
from agentgym_si.envs.sites.rows import rows_of
from agentgym_si.envs.sites.textual import TextBrowser, View
from agentgym_si.envs.sites.tree import (
    checkbox,
    encode,
    facts,
    form,
    heading,
    link,
    listing,
    make,
    textbox,
)
from agentgym_si.envs.sites.world import World, find
from agentgym_si.envs.web.actions import parse
from agentgym_si.errors import ActionError


def world(seed: int = 0) -> World:
    return draw_world(np.random.default_rng(seed))


def get(state: World, url: str) -> tuple[list[str], World]:
    """Return the lines of a page, redirects followed, and the world after."""
    reply, state = answer(state, Request("GET", url))
    while reply.body is None:
        reply, state = answer(state, Request("GET", reply.location))
    return [row.name for row in rows_of(reply.body)], state


def send(state: World, url: str, **fields: object) -> tuple[str, World]:
    """Send a form; return where it leads, and the world after."""
    body = encode((name, str(value)) for name, value in fields.items())
    reply, state = answer(state, Request("POST", url, body))
    return reply.location, state


# Sites ------------------------------------------------------------------------------------


def crawl(state: World, limit: int = 400) -> Iterator[tuple[str, World]]:
    """Yield the URL of every page that is linked, and the world after it was fetched."""
    from urllib.parse import urljoin

    waiting, seen = [HOME], {HOME}
    while waiting and len(seen) < limit:
        url = waiting.pop()
        reply, after = answer(state, Request("GET", url))
        yield url, after
        assert reply.status in (200, 303), url
        nodes = [] if reply.body is None else rows_of(reply.body)
        for row in nodes:
            if row.role == "link" and row.node is not None:
                target = urljoin(url, row.node.attributes["href"])
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)


def test_every_link_leads_to_a_page_and_reading_changes_nothing() -> None:
    """A dead link, a link that leads off the sites, a GET that buys."""
    state = world()
    pages = list(crawl(state))
    assert {Request("GET", url).host for url, _ in pages} == set(SITES)
    assert len(pages) > 80
    assert all(after == state for _, after in pages)


def test_no_form_can_be_sent_by_its_address() -> None:
    """A purchase, a vote or a deletion that a link could do."""
    state = world().change(user="Ada")
    for path in ("cart/add?product=1&pieces=1", "checkout?name=A&city=B", "cart/remove?product=1"):
        lines, after = get(state, f"http://shop.test/{path}")
        assert after == state, lines
    _, after = get(state, "http://forum.test/thread/1/vote")
    assert after == state


def test_forms_are_checked_by_the_site() -> None:
    """A price, a stock or an owner that the form's sender decides."""
    state = world()
    product = state.products[0]
    sold = state.change(products=(product._replace(stock=0), *state.products[1:]))
    add = "http://shop.test/cart/add"
    assert send(sold, add, product=1, pieces=1) == ("http://shop.test/item/1?note=stock", sold)
    for pieces in (0, -1, 6, "x", "99999999999"):
        assert send(state, add, product=1, pieces=pieces)[1] == state
    assert send(state, add, product=999, pieces=1)[1] == state
    assert send(state, "http://shop.test/checkout", name="A", city="B")[1] == state
    _, full = send(state, add, product=1, pieces=2)
    assert send(full, "http://shop.test/checkout", name="A", city=" ")[1] == full
    thread = next(thread for thread in state.threads if thread.author != state.user)
    assert send(state, f"http://forum.test/thread/{thread.number}/delete")[1] == state
    event = state.events[0]
    taken = {"title": "x", "day": event.day, "hour": f"{event.hour}:00"}
    assert send(state, "http://calendar.test/new", **taken)[1] == state
    edit = "http://wiki.test/edit/" + state.articles[0].title
    assert send(state, edit, fact="No such fact", value="1")[1] == state


def test_buying_takes_from_the_stock_and_writes_a_mail() -> None:
    """Sites that know nothing of each other."""
    state = world()
    _, state = send(state, "http://shop.test/cart/add", product=1, pieces=2)
    url, state = send(state, "http://shop.test/checkout", name="Ada", city="Rome", express="yes")
    assert url == "http://shop.test/order/1" and state.cart == ()
    product, before = find(state.products, 1), find(world().products, 1)
    assert product is not None and before is not None
    assert product.stock == before.stock - 2
    total = 2 * product.price + 9
    assert f"Total: {total} euro" in get(state, url)[0]
    assert state.mails[-1].text == f"Thank you for order 1. It costs {total} euro and goes to Rome."


def test_a_search_finds_titles_first_and_nothing_private() -> None:
    """A search engine that reads mails."""
    state = world()
    product, mail = state.products[5], state.mails[0]
    query = encode([("q", product.name)])
    lines, _ = get(state, f"http://find.test/search?{query}")
    assert lines[2] == product.name
    lines, _ = get(state, f"http://find.test/search?{encode([('q', mail.subject)])}")
    assert mail.subject not in lines


def test_worlds_differ_and_repeat() -> None:
    """Content that does not follow the seed."""
    assert world(1) == world(1) != world(2)
    assert len({product.name for product in world().products}) == 16


# Pages ------------------------------------------------------------------------------------


def test_a_page_is_the_same_in_both_renderings() -> None:
    """Text that has to be escaped, a label that is told twice."""
    body = make(
        "body",
        heading('A "b" <c> & d'),
        facts([("Price", 3)]),
        listing([(link("One", "/1"), " 5 euro")]),
        form("/send", textbox("Name", "name", 'x"y'), checkbox("Fast", "fast")),
    )
    assert [(row.role, row.name) for row in rows_of(body)] == [
        ("text", 'A "b" <c> & d'),
        ("text", "Price: 3"),
        ("link", "One"),
        ("text", "5 euro"),
        ("textbox", "Name"),
        ("checkbox", "Fast"),
    ]
    reply, _ = answer(world(), Request("GET", "http://shop.test/"))
    page = document(reply._replace(body=body), lambda url: f"/here{url}")
    assert "<h1>A &quot;b&quot; &lt;c&gt; &amp; d</h1>" in page
    assert 'href="/here/1"' in page and 'action="/here/send"' in page
    assert 'value="x&quot;y"' in page and "<script" not in page


def test_forms_are_encoded_as_browsers_do() -> None:
    """A search for `a~b*` that has another address in the browser."""
    assert encode([("q", "a~b* c&d=é"), ("x", "1\n2")]) == "q=a%7Eb*+c%26d%3D%C3%A9&x=1%0D%0A2"


# The browser ------------------------------------------------------------------------------


def browse(url: str = "http://shop.test/") -> TextBrowser:
    return TextBrowser(Server(world()), url)


def do(browser: TextBrowser, *actions: str) -> View:
    for action in actions:
        browser.perform(check(parse(action), browser.read(), SITES))
    return browser.read()


def test_history_goes_back_and_forward_and_forgets_what_was_ahead() -> None:
    """A page that is shown twice is one too many in the history."""
    browser = browse()
    assert do(browser, "goto('wiki.test')", "goto('http://wiki.test/')").url == "http://wiki.test/"
    assert do(browser, "go_back()").url == "http://shop.test/"
    assert do(browser, "go_forward()").url == "http://wiki.test/"
    assert do(browser, "go_back()", "goto('http://mail.test/')").url == "http://mail.test/"
    with pytest.raises(ActionError, match="no page to go forward to"):
        do(browser, "go_forward()")
    do(browser, "go_back()")
    with pytest.raises(ActionError, match="no page to go back to"):
        do(browser, "go_back()")


def test_a_form_keeps_what_is_put_in_until_it_is_sent() -> None:
    """A value that is lost with the next action, a checkbox that cannot be unticked."""
    browser = browse("http://shop.test/item/1")
    do(browser, "select_option('9', '3')", "click('10')", "goto('http://shop.test/checkout')")
    view = do(browser, "fill('7', ' Ada  L ')", "click('9')", "click('9')", "click('9')")
    assert view.elements[6].value == "Ada L"
    assert view.elements[8].states == ("checked", "focused")
    view = do(browser, "clear('7')", "type('8', 'Rome', True)")
    assert view.url == "http://shop.test/checkout?note=fields"
    assert view.elements[5].name == "Please fill in name and city."


def test_tabs_are_apart_and_share_the_sites() -> None:
    """A second tab that cannot be left, or that is another internet."""
    browser = browse("http://shop.test/item/1")
    view = do(browser, "new_tab()", "tab_focus(1)")
    assert view == View("about:blank", (), ("tabs: 2, you see tab 1",))
    do(browser, "goto('http://shop.test/item/2')", "click('10')", "tab_focus(0)")
    view = do(browser, "click('2')")
    assert sum(element.name.startswith("Remove") for element in view.elements) == 1
    assert do(browser, "tab_focus(1)", "tab_close()").notes == ()
    with pytest.raises(ActionError, match="the task's own tab stays open"):
        do(browser, "tab_close()")


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ("click('99')", "unknown id 99"),
        ("click('5')", r"expected a link, a button or a box, got \[5\], a text"),
        ("click('1', 'right')", "expected the left button"),
        ("fill('6', 'x')", r"expected a textbox, got \[6\], a link"),
        ("fill('10', 'a\\x07b')", "characters that can be typed"),
        ("press('10', 'Tab')", "expected the key 'Enter', got 'Tab'"),
        ("select_option('10', 'x')", "expected a combobox"),
        ("hover('1')", "expected one of click, fill, type"),
        ("keyboard_press('F12')", "expected one of click, fill, type"),
    ],
)
def test_what_cannot_be_done_is_said(action: str, complaint: str) -> None:
    """A mistake that the agent does not hear of, or that one back end forgives."""
    browser = browse()
    before = browser.read()
    with pytest.raises(ActionError, match=complaint):
        do(browser, action)
    assert browser.read() == before


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://shop.test/",
        "file:///etc/hostname",
        "javascript:alert(1)",
        "http://shop.test:80/",
        "http://user@shop.test/",
        "http://shop.test/../x",
        "http://shop.test/%2e%2e/",
        "http://shop.test/a?q=%zz",
        "http://shop.test/a#b",
        "shop.test.evil.example",
        "",
    ],
)
def test_addresses_off_the_sites_or_in_doubt_are_blocked(url: str) -> None:
    """An address that the two back ends read in two ways."""
    with pytest.raises(ActionError):
        clean_url(url, SITES)


def test_addresses_are_made_whole() -> None:
    """`shop.test`, as people type it."""
    assert clean_url("shop.test", SITES) == "http://shop.test/"
    assert clean_url(" http://find.test/search?q=a+b%20c ", SITES).endswith("?q=a+b%20c")


def test_other_dialects_are_read() -> None:
    """An agent of another benchmark that cannot even click."""
    env = SitesEnv("shop-add-0")
    env.reset(seed=0)
    assert env.step("Thought: into the cart.\nAction: Click [10]")[1] == 1.0
