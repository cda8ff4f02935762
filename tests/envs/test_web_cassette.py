"""What a network gave is replayed as it was, when there is no network any more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentgym_si.envs.web.cassette import Cassette, open_cassette
from agentgym_si.envs.web.fence import Network
from agentgym_si.envs.web.requests import Request
from agentgym_si.envs.web.visit import VisitEnv
from agentgym_si.errors import BadInput

ACTIONS = ("click('2')", "fill('1', 'tea')", "click('2')", "go_back()", "noop()")


class Shop(BaseHTTPRequestHandler):
    """A site with a counter: no two of its pages are the same."""

    def answer(self, body: str, kind: str = "text/html; charset=utf-8", status: int = 200) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status == 302:
            self.send_header("Location", "/form")
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.server.visits += 1  # type: ignore[attr-defined]
        visits = self.server.visits  # type: ignore[attr-defined]
        if self.path == "/":
            self.answer(
                f"<p>visit {visits} é</p><a href='/moved'>on</a><p id=p></p>"
                "<script>fetch('/data').then((reply) => reply.json())"
                ".then((data) => { p.textContent = `data ${data.n}` })</script>"
            )
        elif self.path == "/data":
            self.answer(json.dumps({"n": visits}), "application/json")
        elif self.path == "/moved":
            self.answer("", status=302)
        elif self.path == "/form":
            field = "<input name=q autocomplete=off>"  # going back may fill it in again, or not
            self.answer(f"<form method=post action=/sent>{field}<button>send</button></form>")
        else:
            self.answer("nothing", status=404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(f"<p>sent {body}</p>")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        server.visits = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def play(env: VisitEnv) -> list[str]:
    """Return an episode's observations."""
    observation, info = env.reset(seed=0)
    assert "failure" not in info
    observations = [observation]
    for action in ACTIONS:
        observation, *_, info = env.step(action)
        assert "failure" not in info
        observations.append(observation)
    return observations


@pytest.mark.browser
def test_an_episode_of_a_site_is_the_same_when_the_site_is_gone(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    """A reply, a redirect or a form that is not in the file; a visit that counts on."""
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    file = tmp_path / "tapes" / "shop.jsonl"
    options = {"network": "allowlist", "hosts": ["127.0.0.1"]}
    with VisitEnv(url=url, cassette=file, deadline_seconds=30, **options) as env:
        recorded = play(env)
    assert any('"sent q=tea"' in observation for observation in recorded), recorded
    assert any('"data' in observation for observation in recorded)
    visits = server.visits  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    with VisitEnv(url=url, cassette=file, deadline_seconds=30) as env:
        assert play(env) == recorded
        assert play(env) == recorded  # each episode begins with the first reply again
    assert server.visits == visits  # type: ignore[attr-defined]
    assert "visit 1 " in recorded[0]


def test_a_request_that_came_twice_is_answered_in_turn(tmp_path: Path) -> None:
    tape = Cassette(tmp_path / "a.jsonl", recording=True)
    ask, post = Request("GET", "http://a.test/"), Request("POST", "http://a.test/", "x=1")
    for body in (b"one", b"two"):
        tape.record(ask, 200, {"content-type": "text/plain", "set-cookie": "a=1"}, body)
    tape.record(post, 404, {"location": "/b"}, b"\xff\x00")
    replayed = open_cassette(tmp_path / "a.jsonl", Network())
    assert replayed is not None and not replayed.recording
    bodies = [reply.body for _ in range(3) if (reply := replayed.replay(ask))]
    assert bodies == [b"one", b"two", b"two"]
    replayed.rewind()
    first, sent = replayed.replay(ask), replayed.replay(post)
    assert first is not None and (first.body, first.kind) == (b"one", "text/plain")
    assert "set-cookie" not in first.headers  # what was recorded is shown to everybody
    assert sent is not None and (sent.body, sent.status) == (b"\xff\x00", 404)
    assert replayed.replay(Request("POST", "http://a.test/", "x=2")) is None


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "{}",
        "[]",
        "null",
        '{"method": "GET", "url": "a", "body": "", "status": "x", "headers": {}, "reply": ""}',
        '{"method": "GET", "url": "a", "body": "", "status": 200, "headers": [1], "reply": ""}',
        '{"method": "GET", "url": "a", "body": "", "status": 200, "headers": {}, "reply": "?"}',
        '{"method": "GET", "url": ["a"], "body": "", "status": 200, "headers": {}, "reply": ""}',
        '{"method": "", "url": "a", "body": "", "status": 200, "headers": {"a": 1}, "reply": ""}',
    ],
)
def test_a_file_that_is_no_cassette_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "bad.jsonl"
    good = Cassette(file, recording=True)
    good.record(Request("GET", "http://a.test/"), 200, {}, b"x")
    with file.open("a") as opened:
        opened.write(line + "\n")
    with pytest.raises(BadInput, match=r"expected a recorded reply, got .* in bad.jsonl, line 2"):
        open_cassette(file, Network())


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "bytes.jsonl"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="expected"):
        open_cassette(file, Network())
    with pytest.raises(BadInput, match="expected a recorded cassette, found no file"):
        open_cassette(tmp_path / "none.jsonl", Network())
    with pytest.raises(BadInput, match="expected"):
        open_cassette(tmp_path, Network())
    assert open_cassette(None, Network()) is None
