"""What a network gave, in a file: recorded once, then the same for every episode, offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentgym_si.envs.web.fence import Network
from agentgym_si.envs.web.requests import Reply, Request
from agentgym_si.errors import BadInput

_KEPT_HEADERS = frozenset({"content-type", "location", "content-language"})


class Cassette:
    """Replies by request, a JSON line each, in the order in which they came.

    A request that came several times is answered in the recorded order, then as the last time;
    each episode begins with the first again.
    """

    def __init__(self, path: Path, recording: bool) -> None:
        """Read the file where it is to be replayed; raises BadInput for one that is no cassette."""
        self.path = path
        self.recording = recording
        self._replies: dict[Request, list[Reply]] = {}
        self._next: dict[Request, int] = {}
        if not recording:
            for number, line in enumerate(_lines(path), 1):
                request, reply = _decode(line, f"{path.name}, line {number}")
                self._replies.setdefault(request, []).append(reply)

    def rewind(self) -> None:
        """Begin an episode."""
        self._next.clear()

    def replay(self, request: Request) -> Reply | None:
        """Return what the request was given; None where it was never recorded."""
        replies = self._replies.get(request)
        if replies is None:
            return None
        turn = self._next.get(request, 0)
        self._next[request] = turn + 1
        return replies[min(turn, len(replies) - 1)]

    def record(
        self, request: Request, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Append a reply to the file."""
        kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
        record = {
            "method": request.method,
            "url": request.url,
            "body": request.body,
            "status": status,
            "headers": kept,
            "reply": base64.b64encode(body).decode(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def open_cassette(path: str | Path | None, network: Network) -> Cassette | None:
    """Return the cassette of an environment's argument: replayed where the file exists.

    Raises BadInput where there is nothing to replay and no network to record from.
    """
    if path is None:
        return None
    path = Path(path)
    if not path.exists() and network.mode == "none":
        raise BadInput(
            f"expected a recorded cassette, found no file {path}; to record one, give "
            "network='allowlist' with hosts=, or network='open'"
        )
    return Cassette(path, recording=not path.exists())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"expected a cassette of JSON lines in {path}, got {error}") from error


def _decode(line: str, where: str) -> tuple[Request, Reply]:
    try:
        record: dict[str, Any] = json.loads(line)
        request = Request(record["method"], record["url"], record["body"])
        headers = dict(record["headers"])
        if not all(isinstance(text, str) for text in (*request, *headers, *headers.values())):
            raise TypeError("expected strings")
        kind = headers.pop("content-type", "application/octet-stream")
        body = base64.b64decode(record["reply"], validate=True)
        return request, Reply(body, kind, int(record["status"]), headers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"expected a recorded reply, got {line[:80]!r} in {where}") from error
