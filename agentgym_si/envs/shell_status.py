"""InterCode's reward, from what `git status` would say of two file systems and two outputs."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from agentgym_si.envs.shell_files import Node, Tree

_IGNORED = "bin boot dev etc home lib media opt proc root run sbin srv sys usr var"
IGNORED = frozenset(_IGNORED.split())
"""Names that the benchmark's .gitignore lists; nothing of such a name is tracked, anywhere."""
PART = 0.33
NEW = ("A", "??", "C")
"""The kinds of change whose content is compared."""

MAX_LINKS = 8

_TOKEN = re.compile(r"(?u)\b\w\w+\b")


def tracked(tree: Tree) -> dict[str, Node]:
    """Return the files and links that git sees; it knows no folders."""
    return {
        path: node
        for path, node in tree.items()
        if node.kind in ("file", "link")
        and not IGNORED & set(path.split("/"))
        and not path.startswith(".git/")
        and path != ".dockerenv"
    }


def status(before: Tree, after: Tree) -> list[tuple[str, str]]:
    """Return (path, kind of change) as `git status --short` lists them, read as InterCode reads it.

    Both trees as `tracked` returns them. A folder in which nothing was before stands for all in it.
    """
    changes = [(path, _change(node, after.get(path))) for path, node in before.items()]
    folders = {"/".join(parts[:depth]) for path in before for parts, depth in _prefixes(path)}
    new: dict[str, None] = {}
    for path in after:
        if path not in before:
            top = next(
                (
                    "/".join(parts[:depth]) + "/"
                    for parts, depth in _prefixes(path)
                    if "/".join(parts[:depth]) not in folders
                ),
                path,
            )
            new[top] = None
    changes += [(path, "??") for path in new]
    words = " ".join(f"{kind} {_quoted(path)}" for path, kind in changes if kind).split()
    return list(zip(words[1::2], words[::2], strict=False))


def compare(before: Tree, found: Tree, gold: Tree, output: str, gold_output: str) -> dict[str, Any]:
    """Return `official_reward` in [0.01, 1], its `parts`, and the changes that differ."""
    changes, gold_changes = set(status(before, found)), set(status(before, gold))
    miss, extra = gold_changes - changes, changes - gold_changes
    same = [path for path, kind in changes & gold_changes if kind in NEW]
    equal = [path for path in same if _below(found, path) == _below(gold, path)]
    parts = {
        "file_diff": round(PART * (1 - math.erf(len(miss) + len(extra))), 2),
        "file_changes": round(PART * len(equal) / len(same), 2) if same else PART,
        "answer_similarity": round(PART * similarity(output, gold_output), 2),
    }
    return {
        "official_reward": 0.01 + sum(parts.values()),
        "parts": parts,
        "diff_miss": sorted(map(list, miss)),
        "diff_extra": sorted(map(list, extra)),
    }


def similarity(one: str, other: str) -> float:
    """Return the cosine of two texts' TF-IDF vectors over the two, smoothed, words of 2 letters on.

    Texts without such a word are alike where they are equal.
    """
    counts = [Counter(_TOKEN.findall(text.lower())) for text in (one, other)]
    if not counts[0] and not counts[1]:
        return float(one == other)
    vectors: list[Mapping[str, float]] = [
        {
            word: count * (math.log(3 / (1 + sum(word in texts for texts in counts))) + 1)
            for word, count in words.items()
        }
        for words in counts
    ]
    lengths = [math.sqrt(sum(value**2 for value in vector.values())) for vector in vectors]
    if not all(lengths):
        return 0.0
    shared = sum(value * vectors[1].get(word, 0.0) for word, value in vectors[0].items())
    return shared / (lengths[0] * lengths[1])


def _change(old: Node, new: Node | None) -> str:
    if new is None:
        return "D"
    if new.kind != old.kind:
        return "T"
    executable = old.kind == "file" and _executable(old) != _executable(new)
    return "M" if new.data != old.data or executable else ""


def _executable(node: Node) -> bool:
    return bool((node.mode or 0) & 0o100)


def _prefixes(path: str) -> list[tuple[list[str], int]]:
    """Return the path's parts with the length of each of its folders, the shortest first."""
    parts = path.split("/")
    return [(parts, depth) for depth in range(1, len(parts))]


def _below(tree: Tree, path: str) -> dict[str, object]:
    """Return the content of what is at a path of `status`, or below it; links are followed."""
    return {
        name: _content(tree, name)
        for name in tree
        if _quoted(name) == path or (path.endswith("/") and name.startswith(path))
    }


def _content(tree: Tree, name: str) -> object:
    """Return a file's bytes; of a link those of its target, of one to a folder all in it."""
    for _ in range(MAX_LINKS):
        node = tree[name]
        if node.kind != "link":
            return node.data
        target = (node.data or b"").decode(errors="surrogateescape")
        target = os.path.normpath(os.path.join("/", os.path.dirname(name), target)).lstrip("/")
        if target not in tree:
            inside = {
                path: node.data for path, node in tree.items() if path.startswith(f"{target}/")
            }
            return inside or target
        name = target
    return name


def _quoted(path: str) -> str:
    """Return the path as git writes it: special characters escaped, between double quotes."""
    named = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    pieces = [
        f"\\{named[byte]}" if byte in named else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
        for byte in path.encode(errors="surrogateescape")
    ]
    text = "".join(pieces)
    return f'"{text}"' if text != path or " " in path else path
