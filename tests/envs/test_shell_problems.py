"""Guards the check of what an agent left: every difference counts, archives are read with care."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pytest

from agentgym_si.envs.shell_files import Node, text_tree, with_folders
from agentgym_si.envs.shell_problems import Archive, Problem, packed, what_is_wrong
from agentgym_si.envs.shell_tasks import FAMILIES, draw_problem

BEFORE = with_folders(text_tree({"a.txt": "tea\n", "box/b.txt": ""}))
AFTER = {**BEFORE, "a.txt": Node(data=b"tea\n", mode=0o600), "link": Node("link", b"a.txt")}
FOUND = {**AFTER, "a.txt": Node(data=b"tea\n", mode=0o600), "box": Node("folder", mode=0o755)}
PROBLEM = Problem("?", BEFORE, AFTER, ("true",), answer="42")


def test_what_is_right_passes() -> None:
    """A mode that nobody asked about, white space around an answer."""
    assert what_is_wrong(PROBLEM, FOUND, " 42\n") == ""


@pytest.mark.parametrize(
    ("change", "answer", "wrong"),
    [
        ({}, "43", "the answer is another"),
        ({}, "42 43", "the answer is another"),
        ({"new": Node()}, "42", "new should not be there"),
        ({"link": None}, "42", "link is missing"),
        ({"link": Node("link", b"b.txt")}, "42", "link: its content is another"),
        ({"link": Node(data=b"a.txt")}, "42", "link: it is of kind file, not link"),
        ({"a.txt": Node(data=b"tea", mode=0o600)}, "42", "a.txt: its content is another"),
        ({"a.txt": Node(data=None, mode=0o600)}, "42", "a.txt: its content is another"),
        (
            {"a.txt": Node(data=b"tea\n", mode=0o644)},
            "42",
            "a.txt: its permissions are 644, not 600",
        ),
    ],
)
def test_every_difference_counts(change: dict[str, Node | None], answer: str, wrong: str) -> None:
    """A file too many, too few, of another kind or content that is passed over."""
    found = {path: node for path, node in {**FOUND, **change}.items() if node is not None}
    assert what_is_wrong(PROBLEM, found, answer) == wrong


FILES = {"box/a": b"tea\n", "box/b": b""}


def archive_of(*members: tuple[str, bytes, bytes]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data)
            archive.addfile(member, io.BytesIO(data))
    return memory.getvalue()


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (packed(FILES), True),
        (gzip.compress(packed(FILES)), True),
        (packed({f"./{path}": data for path, data in FILES.items()}), True),
        (packed({**FILES, "box/c": b""}), False),
        (packed({**FILES, "box/b": b"x"}), False),
        (archive_of(("box/a", tarfile.REGTYPE, b"tea\n"), ("box/b", tarfile.SYMTYPE, b"")), False),
        (gzip.compress(packed(FILES))[:-9], False),
        (gzip.compress(bytes(64 << 20)), False),
        (packed(FILES)[:700], False),
        (b"\x1f\x8bno gzip", False),
        (b"x" * 2000, False),
        (b"", False),
        (archive_of(*[(str(number), tarfile.REGTYPE, b"") for number in range(2000)]), False),
    ],
    ids=str,
)
def test_archives_are_compared_by_what_they_hold(data: bytes, right: bool) -> None:
    """A bomb that is unpacked whole, a torn archive that raises, a link taken for a file."""
    problem = Problem("?", {}, {"x.tar": Archive(FILES)}, ())
    assert (what_is_wrong(problem, {"x.tar": Node(data=data)}, "") == "") is right


@pytest.mark.parametrize("family", FAMILIES)
def test_problems_are_drawn_from_the_seed_and_are_not_solved_yet(family: str) -> None:
    """Two problems of one seed; a drawn problem that needs no work."""
    for seed in range(20):
        one, same = (draw_problem(family, "train", np.random.default_rng(seed)) for _ in range(2))
        assert one == same
        untouched = {path: Node(node.kind, node.data, 0o644) for path, node in one.before.items()}
        assert what_is_wrong(one, untouched, "") != ""
        other = draw_problem(family, "test", np.random.default_rng(seed))
        assert other.goal != one.goal
