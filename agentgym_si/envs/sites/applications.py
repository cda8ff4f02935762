"""Sites that users bring: static web applications with tasks and checkers of their state.

    FOLDER/                        one application, or a folder of such folders
        index.html  js/  css/      the application; its script PUTs its state to /api/state
        tasks.json                 [{"id": "t1", "instruction": "Archive the first note.", …}, …]
        tasks/t1.py                def verify(server_url) -> (bool, str), reading /api/state there

A task says how it is checked: `"verify": "tasks/t1.py"`, or `"state": {…}`, a part that the state
must have in the end; and may bring `"solution"`, actions known to solve it. This is the layout of
WebArena-Infinity, whose applications run as they are. Checkers are trusted code of the user's: they
run in this process. Nothing of tasks and checkers is ever served to a page.
"""

from __future__ import annotations

import importlib.util
import json
import mimetypes
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from agentgym_si.envs.web.requests import Reply, Request
from agentgym_si.errors import ActionError, BadInput, EnvFailure, MissingDependency
from agentgym_si.types import Task

STATE = "/api/state"

JSON = "application/json"


@dataclass(frozen=True)
class Application:
    """One application: a folder with an index.html."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name, as a part of a host."""
        return re.sub("[^a-z0-9-]+", "-", self.folder.name.lower()).strip("-") or "site"

    @property
    def host(self) -> str:
        """Where its pages are."""
        return f"{self.name}.test"

    def tasks(self) -> Iterator[Task]:
        """Yield its tasks; raises BadInput for a file that holds none."""
        for file in sorted(self.folder.glob("*tasks.json")):
            try:
                entries = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise BadInput(f"expected a JSON list of tasks in {file}: {error}") from error
            if not isinstance(entries, list):
                raise BadInput(f"expected a JSON list of tasks in {file}, got {type(entries)}")
            for entry in entries:
                yield self._task(file, entry)

    def file(self, path: str) -> Path | None:
        """Return what is served at a path; None for what is not there, or belongs to the tasks."""
        wanted = (self.folder / unquote(path).lstrip("/")).resolve()
        found = wanted / "index.html" if wanted.is_dir() else wanted
        root = self.folder.resolve()
        if not found.is_file() or not found.is_relative_to(root):
            return None
        first = found.relative_to(root).parts[0]
        hidden = re.fullmatch(r"\..*|.*tasks(\.json)?", first) or found.suffix == ".py"
        return None if hidden else found

    def _task(self, file: Path, entry: Any) -> Task:
        try:
            checks = {key: entry[key] for key in ("verify", "state") if key in entry}
            if len(checks) != 1:
                raise BadInput(f"expected verify or state in a task of {file}, got {list(checks)}")
            if "verify" in checks and not (self.folder / checks["verify"]).is_file():
                raise BadInput(f"expected a checker at {self.folder / checks['verify']}, got none")
            return Task(
                id=f"{self.name}-{file.stem}-{entry['id']}",
                goal=str(entry["instruction"]),
                data={"application": self.name, **checks},
                split=str(entry.get("split", "train")),
                solution=tuple(map(str, entry.get("solution", ()))),
            )
        except (KeyError, TypeError) as error:
            raise BadInput(f"expected id and instruction in a task of {file}: {error}") from error


class Applications:
    """The applications of a folder, and the state of the one that is running."""

    def __init__(self, folder: str | Path) -> None:
        """Find the applications; raises BadInput where there are none."""
        top = Path(folder)
        places = [top] if (top / "index.html").is_file() else sorted(top.glob("*/"))
        found = [Application(place) for place in places if (place / "index.html").is_file()]
        self._all = {application.name: application for application in found}
        self.tasks = [task for application in found for task in application.tasks()]
        """The tasks of all applications."""
        if not self.tasks:
            raise BadInput(f"expected index.html and tasks.json in {top} or its folders, got none")
        self._running = found[0]
        self.state: Any = None
        """What the application last said its state is; None before it did."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where a policy may go."""
        return (self._running.host,)

    def begin(self, task: Task) -> str:
        """Start a task's application from its first state; return its first page's URL."""
        self._running, self.state = self._all[task.data["application"]], None
        return f"http://{self._running.host}/"

    def answer(self, request: Request) -> Reply | None:
        """Give a page a file, or keep the state that it sends."""
        parts = urlsplit(request.url)
        if parts.hostname != self._running.host:
            return None
        if parts.path == STATE:
            return self._exchange(request)
        if parts.path.startswith("/api/"):
            return Reply(status=204)  # the stream of resets: there is none, do not ask again
        file = self._running.file(parts.path) if request.method == "GET" else None
        if file is None:
            return Reply("Not found", "text/plain", 404)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        text = kind.startswith("text/") or kind.endswith("javascript")
        return Reply(file.read_bytes(), f"{kind}; charset=utf-8" if text else kind)

    def check_address(self, url: str) -> None:
        """Raise ActionError where a policy may not go: the application's state is not for it."""
        if urlsplit(url).path.startswith("/api/"):
            raise ActionError(f"blocked url {url[:80]!r}; expected a page of {self.hosts[0]}")

    def cheats(self) -> tuple[tuple[str, ...], ...]:
        """Return plays that must earn nothing: saying so, and looking where the answers are."""
        done = "send_msg_to_user('done')"
        paths = ("/tasks.json", STATE, "/api/reset", "/../index.html")
        return ((done,), *((f"goto('http://{self.hosts[0]}{path}')", done) for path in paths))

    def solved(self, task: Task) -> bool:
        """Say whether the state is as the task wants it; raises EnvFailure for a broken checker."""
        if self.state is None:
            return False
        if "state" in task.data:
            return holds(task.data["state"], self.state)
        verify = _load(self._running.folder / task.data["verify"])
        with _served(self.state) as url:
            try:
                verdict = verify(url)
            except Exception as error:  # whatever it is, the agent did not do it
                raise EnvFailure("checker", f"{type(error).__name__}: {error}") from error
        return bool(verdict[0] if isinstance(verdict, tuple) else verdict)

    def _exchange(self, request: Request) -> Reply:
        if request.method in ("PUT", "POST"):
            try:
                self.state = json.loads(request.body)
            except ValueError:
                return Reply('{"error": "expected JSON"}', JSON, 400)
            return Reply('{"status": "ok"}', JSON)
        return Reply(json.dumps(self.state), JSON, 404 if self.state is None else 200)


def holds(part: Any, whole: Any) -> bool:
    """Say whether a JSON value has a part: of an object the keys given, all else entire."""
    if isinstance(part, Mapping) and isinstance(whole, Mapping):
        return all(key in whole and holds(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"checker_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as missing:
        raise MissingDependency(
            f"the checker {path.name} needs {missing.name}: pip install {missing.name}"
        ) from missing
    verify = getattr(module, "verify", None)
    if not callable(verify):
        raise BadInput(f"expected a function verify(server_url) in {path}")
    return verify


@contextmanager
def _served(state: Any) -> Iterator[str]:
    """Serve a state to a checker, on a free port of this machine."""
    content = json.dumps(state).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = urlsplit(self.path).path == STATE
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", JSON)
            self.end_headers()
            self.wfile.write(content if known else b"{}")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
