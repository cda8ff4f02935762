"""A browser without a browser: tabs, history and forms over the sites' trees, for text alone.

It keeps to what Chromium does with our pages; the tests play both side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urljoin

from agentgym_si.envs.sites.internet import Reply
from agentgym_si.envs.sites.requests import Request
from agentgym_si.envs.sites.rows import Row, descendants, role_of, rows_of
from agentgym_si.envs.sites.tree import Node, encode
from agentgym_si.envs.web.actions import Call
from agentgym_si.envs.web.snapshot import Element
from agentgym_si.errors import ActionError

BLANK = "about:blank"
MOST_TABS = 5
"""As in the browser's `session`."""

Net = Callable[[Request], Reply]
"""What answers every request of the episode; POST may change what is behind it."""


class View(NamedTuple):
    """What is seen of a browser."""

    url: str
    elements: tuple[Element, ...]
    notes: tuple[str, ...] = ()
    """What is said beside the page: how many tabs there are, what a dialog said."""


@dataclass
class Document:
    """A loaded page, with what has been put into its forms."""

    url: str
    rows: list[Row] = field(default_factory=list)
    values: dict[Node, str] = field(default_factory=dict)
    """Of a ticked checkbox "yes", else ""."""
    focused: Node | None = None

    def elements(self) -> tuple[Element, ...]:
        """Return the rows as the browser's snapshot has them."""
        return tuple(self._element(place, row) for place, row in enumerate(self.rows, 1))

    def _element(self, place: int, row: Row) -> Element:
        if row.node is None or row.role in ("link", "button"):
            return Element(place, row.role, row.name)
        checked = row.role == "checkbox" and bool(self.value(row.node))
        states = [(checked, "checked"), (row.node is self.focused, "focused")]
        return Element(
            place,
            row.role,
            row.name,
            None if row.role == "checkbox" else self.value(row.node),
            tuple(name for on, name in states if on),
            tuple(options_of(row.node)) if row.role == "combobox" else (),
        )

    def value(self, node: Node) -> str:
        """Return what stands in a control."""
        return self.values.get(node, _default(node))

    def request(self, form: Node) -> Request:
        """Return what sending a form asks for."""
        controls = (node for node in descendants(form) if "name" in node.attributes)
        pairs = [
            (node.attributes["name"], self.value(node))
            for node in controls
            if role_of(node) != "checkbox" or self.value(node)
        ]
        url, sent = urljoin(self.url, form.attributes["action"]), encode(pairs)
        if form.attributes["method"] == "get":
            return Request("GET", f"{url}?{sent}")
        return Request("POST", url, sent)


def options_of(node: Node) -> list[str]:
    """Return what a list offers."""
    return [child.text() for child in node.children if isinstance(child, Node)]


def _default(node: Node) -> str:
    if node.tag == "textarea":
        return node.text()
    if node.tag == "select":
        marked = [
            child.text()
            for child in node.children
            if isinstance(child, Node) and "selected" in child.attributes
        ]
        return [*marked, *options_of(node)][0]
    return "" if role_of(node) == "checkbox" else node.attributes["value"]


@dataclass
class _Tab:
    """A tab: the URLs it has been at, and where among them it is."""

    document: Document
    history: list[str]
    place: int = 0


class TextBrowser:
    """Loads pages from `net` and acts on them; the calls have been checked before (`guard`)."""

    def __init__(self, net: Net, url: str) -> None:
        """Open a page in the first tab."""
        self._net, self._home = net, url
        self._tabs = [_Tab(Document(BLANK), [])]
        self._active = 0
        self._visit(Request("GET", url))

    def read(self) -> View:
        """Return what is to be seen."""
        document, count = self._tab.document, len(self._tabs)
        tabs = (f"tabs: {count}, you see tab {self._active}",) if count > 1 else ()
        return View(document.url, document.elements(), tabs)

    def perform(self, call: Call) -> None:
        """Carry an action out; raises ActionError where there is no page or tab to go to."""
        _HANDLERS[call.name](self, *call.arguments)

    @property
    def _tab(self) -> _Tab:
        return self._tabs[self._active]

    def _row(self, bid: int) -> Row:
        return self._tab.document.rows[bid - 1]

    # Actions ------------------------------------------------------------------------------

    def _noop(self, *_: object) -> None:
        return

    def _click(self, bid: int, *_: object) -> None:
        row, document = self._row(bid), self._tab.document
        document.focused = row.node
        if row.role == "link":
            assert row.node is not None
            self._visit(Request("GET", urljoin(document.url, row.node.attributes["href"])))
        elif row.role == "button":
            self._submit(row)
        elif row.role == "checkbox":
            assert row.node is not None
            document.values[row.node] = "" if document.value(row.node) else "yes"

    def _press(self, bid: int, _: str) -> None:
        row = self._row(bid)
        if row.role == "textbox":
            self._submit(row)
        else:
            self._click(bid)

    def _submit(self, row: Row) -> None:
        assert row.form is not None
        self._visit(self._tab.document.request(row.form))

    def _fill(self, bid: int, value: str) -> None:
        row, document = self._row(bid), self._tab.document
        assert row.node is not None
        document.focused = row.node
        document.values[row.node] = value

    def _type(self, bid: int, value: str, enter: bool) -> None:
        self._fill(bid, value)
        if enter:
            self._submit(self._row(bid))

    def _clear(self, bid: int) -> None:
        self._fill(bid, "")

    def _select_option(self, bid: int, options: tuple[str, ...]) -> None:
        self._fill(bid, options[0])

    def _goto(self, url: str) -> None:
        self._visit(Request("GET", url))

    def _go_home(self) -> None:
        self._goto(self._home)

    def _go_back(self) -> None:
        self._travel(-1, "back")

    def _go_forward(self) -> None:
        self._travel(1, "forward")

    def _new_tab(self) -> None:
        if len(self._tabs) >= MOST_TABS:
            raise ActionError(f"expected at most {MOST_TABS} tabs")
        self._tabs.append(_Tab(Document(BLANK), [BLANK]))

    def _tab_focus(self, index: int) -> None:
        if index >= len(self._tabs):
            raise ActionError(f"expected a tab below {len(self._tabs)}, got {index}")
        self._active = index

    def _tab_close(self) -> None:
        if self._active == 0:
            raise ActionError("the task's own tab stays open")
        del self._tabs[self._active]
        self._active = 0

    # Navigation ---------------------------------------------------------------------------

    def _visit(self, request: Request) -> None:
        """Load a page; one at the URL that is shown takes that place in the history."""
        tab, before = self._tab, self._tab.document.url
        self._load(request)
        if request.method == "GET" and request.url == before:
            tab.history[tab.place] = tab.document.url
        else:
            tab.history = [*tab.history[: tab.place + 1], tab.document.url]
            tab.place = len(tab.history) - 1

    def _travel(self, steps: int, word: str) -> None:
        tab = self._tab
        place = tab.place + steps
        if not 0 <= place < len(tab.history):
            raise ActionError(f"there is no page to go {word} to")
        tab.place = place
        if tab.history[place] == BLANK:
            tab.document = Document(BLANK)
        else:
            self._load(Request("GET", tab.history[place]))

    def _load(self, request: Request) -> None:
        reply = self._net(request)
        while reply.body is None:  # no page of ours redirects in circles
            request = Request("GET", reply.location)
            reply = self._net(request)
        self._tab.document = Document(request.url, rows_of(reply.body))


_HANDLERS: Mapping[str, Callable[..., None]] = {
    "noop": TextBrowser._noop,
    "scroll": TextBrowser._noop,
    "click": TextBrowser._click,
    "press": TextBrowser._press,
    "fill": TextBrowser._fill,
    "type": TextBrowser._type,
    "clear": TextBrowser._clear,
    "select_option": TextBrowser._select_option,
    "goto": TextBrowser._goto,
    "go_home": TextBrowser._go_home,
    "go_back": TextBrowser._go_back,
    "go_forward": TextBrowser._go_forward,
    "new_tab": TextBrowser._new_tab,
    "tab_focus": TextBrowser._tab_focus,
    "tab_close": TextBrowser._tab_close,
}
