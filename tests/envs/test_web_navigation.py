"""From page to page: links, forms, redirects, history, tabs, dialogs; and what must not open."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from agentgym_si.envs.web.requests import Reply, Request
from agentgym_si.envs.web.tabs import MAX_TABS
from agentgym_si.envs.web.visit import VisitEnv

pytestmark = pytest.mark.browser

Visit = Callable[..., VisitEnv]
HOME = "http://home.test/"

FORM = """<form action="/find" method="METHOD"><input name="q" placeholder="Query">
<input type="hidden" name="page" value="1"><button name="go" value="yes">Search</button></form>"""


def shop(request: Request) -> Reply | None:
    """Answer as a small site: a form, what was sent, redirects."""
    if not request.url.startswith(HOME):
        return None
    path = request.url.removeprefix(HOME)
    if path == "":
        return Reply("<a href='/one'>one</a>")
    if path in ("GET", "POST"):
        return Reply(FORM.replace("METHOD", path))
    if path.startswith("find"):
        return Reply(f"<p>{request.method} {path} {sorted(parse_qs(request.body).items())}</p>")
    if path == "away":
        return Reply(status=303, headers={"location": "/further"})
    if path == "further":
        return Reply(status=302, headers={"location": f"{HOME}one"})
    if path == "loop":
        return Reply(status=302, headers={"location": "/loop"})
    if path == "out":
        return Reply(status=302, headers={"location": "http://out.test/"})
    return Reply(f"<h1>{path}</h1><a href='/two'>two</a><a href='/away'>away</a>")


def texts(observation: str) -> str:
    """Return the elements' lines."""
    return "\n".join(line for line in observation.splitlines() if line.startswith("["))


def test_links_history_and_home(visit: Visit) -> None:
    env = visit(shop)
    env.reset(seed=0)
    assert '"one"' in env.step("click('1')")[0]
    assert 'text "two"' in env.step("click('2')")[0]
    assert 'text "one"' in env.step("go_back()")[0]
    assert "failure" not in env.step("scroll(0, 10)")[4]  # a tab that nobody draws scrolls never
    assert '[1] link "one"' in env.step("go_back()")[0]
    assert "error: there is no page to go back to" in env.step("go_back()")[0]
    env.step("go_forward()")
    assert 'text "two"' in env.step("go_forward()")[0]
    assert "error: there is no page to go forward to" in env.step("go_forward()")[0]
    observation, *_, info = env.step("go_home()")
    assert '[1] link "one"' in observation and info["url"] == HOME


def test_a_get_form_sends_its_fields_in_the_address(visit: Visit) -> None:
    env = visit(shop, url=f"{HOME}GET")
    env.reset(seed=0)
    env.step("fill('1', 'green tea')")
    observation = env.step("click('2')")[0]
    assert '"GET find?q=green+tea&page=1&go=yes []"' in observation


def test_a_post_form_sends_its_fields_in_the_body_by_enter_too(visit: Visit) -> None:
    env = visit(shop, url=f"{HOME}POST")
    for last in (("fill('1', 'é & co')", "click('2')"), ("type('1', 'é & co', True)",)):
        env.reset(seed=0)
        for action in last:
            observation = env.step(action)[0]
        assert (
            "\"POST find [('go', ['yes']), ('page', ['1']), ('q', ['é & co'])]\"" in observation
        ), observation


def test_redirects_lead_on_and_are_no_page_of_the_history(visit: Visit) -> None:
    """A redirect that Chromium follows by itself, past the environment; or that traps go_back."""
    env = visit(shop)
    env.reset(seed=0)
    env.step("click('1')")
    observation, *_, info = env.step("click('3')")
    assert info["url"] == f"{HOME}one" and 'text "one"' in observation
    env.step("go_back()")
    assert 'link "one"' in env.step("go_back()")[0]


def test_a_redirect_out_of_the_world_stays_in_it(visit: Visit) -> None:
    env = visit(shop)
    env.reset(seed=0)
    observation, *_, info = env.step(f"goto('{HOME}out')")
    assert "failure" not in info
    assert "out.test" not in info["url"]
    assert 'link "one"' in env.step("go_back()")[0] or 'link "one"' in observation


def test_a_page_that_goes_on_for_ever_is_a_failure(visit: Visit) -> None:
    """Redirects, or a page that loads itself anew, until the deadline."""
    env = visit(shop)
    env.reset(seed=0)
    info = env.step(f"goto('{HOME}loop')")[4]
    assert info["failure"]["kind"] == "page_restless"
    assert "failure" not in env.reset(seed=0)[1]
    env = visit("<button onclick='setInterval(() => location.reload(), 10)'>go</button>")
    env.reset(seed=0)
    assert "failure" not in env.step("click('1')")[4]  # once
    env = visit("<script>setTimeout(() => location.reload(), 10)</script>")
    assert env.reset(seed=0)[1]["failure"]["kind"] == "page_restless"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:document.body.append('escaped')",
        "file:///etc/hostname",
        "data:text/html,escaped",
        "view-source:http://home.test/",
        "view-source:file:///etc/hostname",
        "chrome://version",
        "about:blank",
        "blob:http://home.test/1",
        "http://other.test/",
        "http://home.test.other.test/",
        "http://home.test@other.test/",
        "http://other.test\\@home.test/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[broken/",
        "//home.test/one",
        "one",
        "",
        "ftp://home.test/",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
    ],
)
def test_addresses_out_of_the_world_are_refused(shared: VisitEnv, url: str) -> None:
    observation, _, _, _, info = shared.step(f"goto({url!r})")
    assert "error: blocked url" in observation
    assert info["action_error_code"] == "blocked_url"
    assert info["url"] == HOME and "escaped" not in texts(observation)


@pytest.fixture(scope="module")
def shared():
    env = VisitEnv(url=HOME, pages=shop, max_steps=1000)
    env.reset(seed=0)
    yield env
    env.close()


SCRIPTED = """<p id=p>waiting</p><script>
const say = (text) => { p.textContent = text; };
METHOD
</script>"""


@pytest.mark.parametrize(
    "method",
    [
        "fetch('/find').then((reply) => reply.text()).then((text) => say('came'))",
        "fetch('/find').then((reply) => fetch('/find')).then(() => say('came'))",
        "const ask = new XMLHttpRequest(); ask.open('POST', '/find');"
        "ask.onload = () => say('came'); ask.send('a=1')",
        "setTimeout(() => { location.href = '/came'; }, 300)",
        "addEventListener('load', () => { location.href = '/came'; })",
        "fetch('/find').then(() => { location.href = '/came'; })",
        "setTimeout(() => fetch('/find').then(() => say('came')), 300)",
        "import('/module.js').then((module) => say(module.word))",
        "document.body.append(Object.assign(document.createElement('script'), {src: '/s.js'}))",
    ],
)
def test_what_a_page_is_answered_is_waited_for(visit: Visit, method: str) -> None:
    """A page told as it was before its request was answered, now so and now so."""

    def answer(request: Request) -> Reply | None:
        if request.url.endswith("came"):
            return Reply("<p>came</p>")
        if request.url.endswith("module.js"):
            return Reply("export const word = 'came'", "text/javascript")
        if request.url.endswith("s.js"):
            return Reply("say('came')", "text/javascript")
        if request.url.endswith("find"):
            return Reply("found")
        return Reply(SCRIPTED.replace("METHOD", method))

    env = visit(answer)
    assert '"came"' in env.reset(seed=0)[0]


def test_popups_are_tabs_up_to_a_limit(visit: Visit) -> None:
    pages = {
        "": "<a href='/one' target=_blank>one</a><button onclick=\"for (let n = 0; n < 8; n++)"
        "window.open('/two')\">many</button>"
        "<button onclick=\"window.open('/one', '_blank', 'noopener')\">alone</button>",
        "one": "<p>first</p>",
        "two": "<p>second</p>",
    }
    env = visit(pages)
    env.reset(seed=0)
    assert "tabs: 2, you see tab 0" in env.step("click('1')")[0]
    observation, *_, info = env.step("tab_focus(1)")
    assert '"first"' in observation and info["url"] == f"{HOME}one"
    assert "tabs:" not in env.step("tab_close()")[0]
    env.step("click('3')")
    assert '"first"' in env.step("tab_focus(1)")[0]
    env.step("tab_focus(0)")
    observation, *_, info = env.step("click('2')")
    assert "failure" not in info
    assert f"tabs: {MAX_TABS}, you see tab 0" in observation
    assert f"error: expected at most {MAX_TABS} tabs" in env.step("new_tab()")[0]
    assert '"second"' in env.step(f"tab_focus({MAX_TABS - 1})")[0]
    assert "error: expected a tab below" in env.step(f"tab_focus({MAX_TABS})")[0]
    env.step("tab_focus(0)")
    assert "error: the task's own tab stays open" in env.step("tab_close()")[0]
    observation = env.reset(seed=0)[0]
    assert "tabs:" not in observation


def test_a_tab_that_closes_itself_is_gone(visit: Visit) -> None:
    """A tab whose page is no more, still counted, or asked for its state until the deadline."""
    env = visit(
        {
            "": "<button onclick=\"window.open('/one')\">open</button>",
            "one": "<button onclick='window.close()'>close</button>",
        }
    )
    env.reset(seed=0)
    env.step("click('1')")
    assert '"close"' in env.step("tab_focus(1)")[0]
    observation, *_, info = env.step("click('1')")
    assert "failure" not in info
    assert '"open"' in observation and "tabs:" not in observation
    assert "tabs: 2" in env.step("click('1')")[0]


def test_a_new_tab_can_go_anywhere_in_the_world(visit: Visit) -> None:
    env = visit(shop)
    env.reset(seed=0)
    env.step("new_tab()")
    env.step("tab_focus(1)")
    assert 'text "one"' in env.step(f"goto('{HOME}one')")[0]
    assert 'text "two"' in env.step("click('2')")[0]
    assert 'text "one"' in env.step("go_back()")[0]
    assert '[1] link "one"' in env.step("tab_close()")[0]


def test_dialogs_are_told_and_answered(visit: Visit) -> None:
    """A dialog that holds the page up, or whose answer differs between two runs."""
    env = visit("""<button onclick="alert('A'); this.textContent =
      [confirm('B'), prompt('C', 'd')].join()">ask</button>
      <button onclick="document.title = 'x'">else</button>""")
    env.reset(seed=0)
    observation, *_, info = env.step("click('1')")
    assert '[1] button "false,"' in observation
    assert [line for line in observation.splitlines() if line.startswith("dialog")] == [
        'dialog "A"',
        'dialog "B"',
        'dialog "C"',
    ]
    assert info["dialogs"] == ["A", "B", "C"]
    observation, *_, info = env.step("click('2')")
    assert "dialog" not in observation and "dialogs" not in info


def test_a_page_that_does_not_want_to_be_left_is_left(visit: Visit) -> None:
    pages = {
        "": "<script>addEventListener('beforeunload', (e) => e.preventDefault())</script>"
        "<button>stay</button><a href='/one'>go</a>",
        "one": "<p>left</p>",
    }
    env = visit(pages)
    env.reset(seed=0)
    env.step("click('1')")  # a page that was touched may ask
    observation, *_, info = env.step("click('2')")
    assert "failure" not in info and '"left"' in observation


def test_downloads_fragments_and_history_api_do_not_leave_the_page(visit: Visit) -> None:
    """A page that was expected to load and never does: a step as long as the limit of loading."""

    def answer(request: Request) -> Reply | None:
        if request.url.endswith("file"):
            return Reply("x", "application/octet-stream")
        if request.url.endswith("nothing"):
            return Reply(status=204)
        if not request.url.startswith(HOME):
            return None
        return Reply(
            "<a href='/file' download>a</a><a href='/file'>b</a><a href='#x'>c</a>"
            "<button onclick=\"history.pushState({}, '', '/pushed')\">d</button>"
            "<a href='/nothing'>e</a><a href='http://out.test/'>f</a><a href='mailto:a@b'>g</a>"
        )

    env = visit(answer)
    env.reset(seed=0)
    before = env.env_seconds
    for number in "123567":
        observation, *_, info = env.step(f"click('{number}')")
        assert "failure" not in info and '[7] link "g"' in observation, number
    assert env.step("click('4')")[4]["url"] == f"{HOME}pushed"
    assert "failure" not in env.step("go_back()")[4]
    assert env.env_seconds - before < 9
