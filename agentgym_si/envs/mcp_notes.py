"""A small MCP server over stdio that keeps notes in memory: `python -m agentgym_si.envs.mcp_notes`.

It speaks the protocol with the standard library alone: an episode starts a fresh process, and the
official package would make each of them wait a second for its imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions of the protocol, the newest first; for what is used here they are the same."""

_TITLE = "the note's title"
TOOLS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "list_notes": ("List the titles of all notes, or of those with a tag.", {"tag": "a tag"}, ()),
    "search_notes": (
        "List the titles of the notes whose text contains a text.",
        {"text": "what to look for"},
        ("text",),
    ),
    "read_note": ("Read a note.", {"title": _TITLE}, ("title",)),
    "write_note": (
        "Make a new note.",
        {"title": _TITLE, "text": "its text", "tag": "its tag, if it is to have one"},
        ("title", "text"),
    ),
    "append_to_note": (
        "Add a line at the end of a note.",
        {"title": _TITLE, "line": "the line"},
        ("title", "line"),
    ),
    "rename_note": (
        "Give a note another title.",
        {"title": _TITLE, "new_title": "the new one"},
        ("title", "new_title"),
    ),
    "delete_note": ("Delete a note.", {"title": _TITLE}, ("title",)),
    "export_notes": ("Return all notes as JSON.", {}, ()),
}
"""By name: description, what each argument is, and which of them are required. All are texts."""


class Notes:
    """The notes, by title; each method of a tool's name returns its text or raises LookupError."""

    def __init__(self) -> None:
        """Begin without notes."""
        self.notes: dict[str, dict[str, str]] = {}

    def list_notes(self, tag: str | None = None) -> str:
        """Return titles, one a line."""
        return _lines(t for t, note in self.notes.items() if tag in (None, note["tag"]))

    def search_notes(self, text: str) -> str:
        """Return titles, one a line."""
        return _lines(t for t, note in self.notes.items() if text in note["text"])

    def read_note(self, title: str) -> str:
        """Return a note's text."""
        return self._note(title)["text"]

    def write_note(self, title: str, text: str, tag: str = "") -> str:
        """Make a note."""
        self._check_free(title)
        self.notes[title] = {"text": text, "tag": tag}
        return f"{title} is written"

    def append_to_note(self, title: str, line: str) -> str:
        """Add a line."""
        note = self._note(title)
        note["text"] += f"\n{line}"
        return f"{title} is longer by a line"

    def rename_note(self, title: str, new_title: str) -> str:
        """Change a title."""
        note = self._note(title)
        self._check_free(new_title)
        del self.notes[title]
        self.notes[new_title] = note
        return f"{title} is now {new_title}"

    def delete_note(self, title: str) -> str:
        """Remove a note."""
        self._note(title)
        del self.notes[title]
        return f"{title} is deleted"

    def export_notes(self) -> str:
        """Return everything, sorted by title."""
        return json.dumps(self.notes, sort_keys=True)

    def _note(self, title: str) -> dict[str, str]:
        if title not in self.notes:
            raise LookupError(f"no note has the title {title!r}")
        return self.notes[title]

    def _check_free(self, title: str) -> None:
        if title in self.notes or not title:
            raise LookupError(f"the title {title!r} cannot be taken")


def serve(lines: Iterable[str]) -> Iterator[str]:
    """Yield an answer for each request, until the lines end."""
    notes = Notes()
    methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "initialize": _initialize,
        "ping": lambda params: {},
        "tools/list": lambda params: {"tools": [_describe(name) for name in TOOLS]},
        "tools/call": lambda params: _call(notes, params),
    }
    for line in lines:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue  # a notification, or an answer: we ask nothing
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = methods[request["method"]](request.get("params") or {})
        except KeyError:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        except (TypeError, ValueError) as error:
            answer["error"] = {"code": -32602, "message": str(error)}
        yield json.dumps(answer)


def _initialize(params: dict[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "notes", "version": "1"},
    }


def _describe(name: str) -> dict[str, Any]:
    description, arguments, required = TOOLS[name]
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {
                argument: {"type": "string", "description": meaning}
                for argument, meaning in arguments.items()
            },
            "required": list(required),
            "additionalProperties": False,
        },
    }


def _call(notes: Notes, params: dict[str, Any]) -> dict[str, Any]:
    name, arguments = params.get("name"), params.get("arguments") or {}
    if name not in TOOLS:
        raise ValueError(f"Unknown tool: {name}")
    if wrong := [argument for argument, value in arguments.items() if not isinstance(value, str)]:
        raise ValueError(f"expected {wrong[0]} to be a text")
    try:
        text, failed = getattr(notes, name)(**arguments), False
    except LookupError as error:
        text, failed = str(error), True
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def _lines(titles: Iterable[str]) -> str:
    return "\n".join(sorted(titles)) or "(none)"


def main() -> None:
    """Serve standard input until it ends."""
    for answer in serve(sys.stdin):
        print(answer, flush=True)


if __name__ == "__main__":
    main()
