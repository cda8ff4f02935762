"""A drawn problem of `Shell-v0`: its files before and after, and the check of what is there."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from agentgym_si.envs.shell_files import Node, Tree, with_folders

MAX_ARCHIVE_BYTES = 4 << 20
MAX_MEMBERS = 1000


@dataclass(frozen=True)
class Archive:
    """A tar archive, gzipped or not, that has to hold these files and no others."""

    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Problem:
    """One episode's problem: all is drawn, nothing of it is kept in the box but `before`."""

    goal: str
    before: Tree
    after: Mapping[str, Node | Archive]
    """Every file there has to be in the end; modes count where they are given."""
    commands: tuple[str, ...]
    """Command lines that solve it."""
    answer: str = ""
    """What `submit` has to be given; "" where no answer is asked for."""
    names: tuple[str, ...] = ()
    """Names that the goal says, to be copied."""


def what_is_wrong(problem: Problem, tree: Tree, answer: str) -> str:
    """Return the first difference between what is there and what should be, or ""."""
    if problem.answer and answer.strip() != problem.answer:
        return "the answer is another"
    expected = dict(problem.after)
    for path, node in with_folders({path: Node() for path in expected}).items():
        expected.setdefault(path, node)
    for path in sorted(expected.keys() | tree.keys()):
        if path not in tree:
            return f"{path} is missing"
        if path not in expected:
            return f"{path} should not be there"
        difference = _difference(expected[path], tree[path])
        if difference:
            return f"{path}: {difference}"
    return ""


def _difference(expected: Node | Archive, found: Node) -> str:
    if isinstance(expected, Archive):
        if found.kind != "file" or found.data is None:
            return "it is no file, or too large"
        return "" if _unpacked(found.data) == dict(expected.files) else "it holds something else"
    if found.kind != expected.kind:
        return f"it is of kind {found.kind}, not {expected.kind}"
    if expected.kind != "folder" and found.data != expected.data:
        return "its content is another"
    if expected.mode is not None and found.mode != expected.mode:
        return f"its permissions are {found.mode:o}, not {expected.mode:o}"
    return ""


def _unpacked(data: bytes) -> dict[str, bytes] | None:
    """Return an archive's plain files; None for what is none, or unpacks to too much."""
    if data[:2] == b"\x1f\x8b":
        inflater = zlib.decompressobj(wbits=31)
        try:
            data = inflater.decompress(data, MAX_ARCHIVE_BYTES)
        except zlib.error:
            return None
        if not inflater.eof:
            return None
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_MEMBERS or not (member.isdir() or member.isreg()):
                    return None
                content = None if member.isdir() else archive.extractfile(member)
                if content is not None:
                    files[member.name.removeprefix("./")] = content.read(MAX_ARCHIVE_BYTES)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, KeyError):
        return None
    return files


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of these files; the same bytes for the same files."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return memory.getvalue()
