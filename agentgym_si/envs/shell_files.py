"""A box's files as values: laid out before an episode, read back when all its processes are dead.

The reading cannot be forged from inside the box: first every process is killed, the live
interpreter too (a program of the episode may have written to its memory), then a new interpreter,
forked from the guest's agent which no program can touch, sends what it finds. Nothing is unpacked
or run on the host.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agentgym_si.envs import shell_guest
from agentgym_si.errors import SandboxError
from agentgym_si.sandboxes.base import Sandbox

EPOCH = 1_704_067_200
"""When all files of an episode were last changed: 2024-01-01, in seconds."""
KILLING_SECONDS = 0.02
NAMESPACED = ("docker", "bubblewrap")
"""Tiers whose boxes have process ids of their own."""

_KILLER = "kill -9 -1; for ((i = 0; i < 9999 && $# != 2; i++)); do set -- /proc/[0-9]*; done"
"""Kills all but the first process and itself, and waits until no others are left."""

_SOURCE = Path(shell_guest.__file__).read_text()


@dataclass(frozen=True)
class Node:
    """What is at a path."""

    kind: Literal["file", "folder", "link", "other"] = "file"
    data: bytes | None = b""
    """A file's content, None where it is too large to be read; a link's target."""
    mode: int | None = None
    """Permission bits; None for 0o644, or 0o755 of a folder, and where they do not matter."""
    modified: int | None = EPOCH
    """When it was last changed, in seconds since 1970; None for now. Not read back."""


Tree = Mapping[str, Node]
"""Paths inside a folder, and what is there. Folders that hold something need no entry."""


class Unreadable(Exception):
    """The box's state after an episode cannot be told: the agent's own doing."""


def text_tree(files: Mapping[str, str], folders: Iterable[str] = ()) -> dict[str, Node]:
    """Return a tree of text files and empty folders."""
    tree = {path: Node("folder") for path in folders}
    return tree | {path: Node(data=text.encode()) for path, text in files.items()}


def with_folders(tree: Tree) -> dict[str, Node]:
    """Return the tree with an entry for each folder on the way, parents first."""
    whole = dict(tree)
    for path in tree:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            whole.setdefault("/".join(parts[:depth]), Node("folder"))
    return dict(sorted(whole.items()))


def lay_out(sandbox: Sandbox, tree: Tree, root: str = ".") -> str:
    """Make the files in a box whose episode has just begun; return its work folder's path.

    Raises SandboxError.
    """
    entries = [
        (path, node.kind, _mode(node), node.modified, (node.data or b"").decode("latin-1"))
        for path, node in with_folders(tree).items()
    ]
    answer = _ask(sandbox, {"lay_out": entries, "root": root})
    return str(json.loads(answer)["folder"])


def final_tree(sandbox: Sandbox, root: str = ".", skip: Sequence[str] = ()) -> dict[str, Node]:
    """Kill all that runs in the box and return its files, by path.

    Args:
        sandbox: the box; of no use after this but for a reset.
        root: the folder to read; "." for the work folder.
        skip: paths in it that are left out.

    Raises:
        Unreadable: there is no telling, or too much to tell.
        SandboxError: the box failed.
    """
    kill_all(sandbox)
    answer = _ask(sandbox, {"root": root, "skip": list(skip), "kill": sandbox.tier in NAMESPACED})
    head, _, rest = answer.partition(b"\n")
    listing, _, contents = rest.partition(b"\n")
    if sandbox.tier in NAMESPACED and json.loads(head)["strangers"]:
        raise Unreadable("a process would not die")
    found = json.loads(listing)
    if not found["whole"]:
        raise Unreadable(f"more than {shell_guest.MAX_ENTRIES} files")
    tree: dict[str, Node] = {}
    at = 0
    for path, kind, mode, size, target in found["entries"]:
        data: bytes | None = target.encode(errors="surrogateescape")
        if kind == "file":
            data = None if size < 0 else contents[at : at + size]
            at += max(size, 0)
        tree[path] = Node(kind, data, mode)
    return tree


def kill_all(sandbox: Sandbox) -> None:
    """Kill every process of the episode and keep its files; raises SandboxError.

    In a process namespace also the live interpreter. Where there is none (Landlock) programs can
    neither signal it nor write to its memory, and it has run nothing of theirs.
    """
    if sandbox.tier in NAMESPACED:
        sandbox.exec(["bash", "-c", _KILLER])
    else:  # beyond its deadline a program goes, with all others
        sandbox.exec(["sleep", "60"], seconds=KILLING_SECONDS)


def _mode(node: Node) -> int:
    return (0o755 if node.kind == "folder" else 0o644) if node.mode is None else node.mode


def _ask(sandbox: Sandbox, request: dict[str, Any]) -> bytes:
    """Run `shell_guest.answer` in the live interpreter and return what it sends."""
    answers: list[bytes] = []

    def take(data: bytes) -> bytes:
        answers.append(data)
        return b""

    snippet = f"{_SOURCE}\nanswer(json.loads({json.dumps(request)!r}))"
    result = sandbox.exec(snippet, on_call=take)
    if result.exit_code != 0 and result.state_lost and not result.timed_out:
        # It was the old one, already killed.
        answers.clear()
        result = sandbox.exec(snippet, on_call=take)
    if result.timed_out:
        raise Unreadable(f"it took more than {result.seconds:.0f} s to read")
    if result.exit_code != 0 or len(answers) != 1:
        raise SandboxError(f"the box's files cannot be reached: {result.stderr[-300:]}")
    return answers[0]
