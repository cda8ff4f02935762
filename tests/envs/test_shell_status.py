"""Guards InterCode's reward: what git would list, the three parts, the cosine."""

from __future__ import annotations

import math

import pytest

from agentgym_si.envs.shell_files import Node
from agentgym_si.envs.shell_status import compare, similarity, status, tracked

BEFORE = {
    "bed/a.txt": Node(data=b"a", mode=0o644),
    "bed/run.sh": Node(data=b"b", mode=0o755),
    "link": Node("link", b"bed"),
}


@pytest.mark.parametrize(
    ("after", "listed"),
    [
        (BEFORE, []),
        (BEFORE | {"bed/a.txt": Node(data=b"x", mode=0o644)}, [("bed/a.txt", "M")]),
        (BEFORE | {"bed/a.txt": Node(data=b"a", mode=0o600)}, []),
        (BEFORE | {"bed/a.txt": Node(data=b"a", mode=0o755)}, [("bed/a.txt", "M")]),
        (BEFORE | {"link": Node(data=b"bed", mode=0o644)}, [("link", "T")]),
        ({"link": BEFORE["link"]}, [("bed/a.txt", "D"), ("bed/run.sh", "D")]),
        (BEFORE | {"new": Node(), "bed/new": Node()}, [("new", "??"), ("bed/new", "??")]),
        (
            BEFORE | {"bed/in/x/1": Node(), "bed/in/2": Node(), "up/3": Node()},
            [("bed/in/", "??"), ("up/", "??")],
        ),
        (BEFORE | {"a\r": Node()}, [('"a\\r"', "??")]),
        (BEFORE | {"tea time": Node()}, [('"tea', "??")]),  # the official reader splits at spaces
    ],
)
def test_changes_are_listed_as_git_does(
    after: dict[str, Node], listed: list[tuple[str, str]]
) -> None:
    """A folder of new files that counts once a file, permission bits that git does not see."""
    assert status(BEFORE, after) == listed


def test_only_what_git_tracks_is_seen() -> None:
    """Files below an ignored name, folders, pipes."""
    tree = {"bed": Node("folder"), "pipe": Node("other"), "usr/x": Node(), "bed/opt/x": Node()}
    assert tracked({**tree, ".git/HEAD": Node(), ".dockerenv": Node(), **BEFORE}) == BEFORE


def test_the_cosine_is_that_of_smoothed_tf_idf() -> None:
    """Weights that are not those of the official vectoriser."""
    rare = math.log(3 / 2) + 1  # in one text of two; a word of both weighs 1
    assert similarity("tea mug", "tea pot") == pytest.approx(1 / (1 + rare**2))
    assert similarity("Tea tea mug", "tea") == pytest.approx(2 / math.sqrt(4 + rare**2))
    assert similarity("tea_1 a b c", "TEA_1") == pytest.approx(1.0)
    assert similarity("tea", "") == 0.0
    assert [similarity("", ""), similarity("1\n", "1\n"), similarity("1\n", "2\n")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("found", "output", "parts"),
    [
        ({"new": Node(data=b"1")}, "tea", (0.33, 0.33, 0.33)),
        ({"new": Node(data=b"2")}, "tea", (0.33, 0.0, 0.33)),
        ({"new": Node(data=b"1")}, "pot", (0.33, 0.33, 0.0)),
        ({}, "tea", (0.05, 0.33, 0.33)),  # 0.33 (1 - erf 1) = 0.0519
        ({"other": Node(data=b"1")}, "tea", (0.0, 0.33, 0.33)),  # 0.33 (1 - erf 2) = 0.0015
    ],
)
def test_the_reward_has_three_parts(
    found: dict[str, Node], output: str, parts: tuple[float, ...]
) -> None:
    """A part that is not rounded, or compared though it is in one of the two only."""
    told = compare(BEFORE, BEFORE | found, BEFORE | {"new": Node(data=b"1")}, output, "tea")
    assert tuple(told["parts"].values()) == parts
    assert told["official_reward"] == pytest.approx(0.01 + sum(parts))


@pytest.mark.parametrize(
    ("target", "gold", "part"),
    [
        (b"bed/a.txt", Node(data=b"a"), 0.33),
        (b"/bed/../bed/a.txt", Node(data=b"a"), 0.33),
        (b"bed/run.sh", Node(data=b"a"), 0.0),
        (b"bed", Node("link", b"/bed"), 0.33),
        (b"nowhere", Node("link", b"elsewhere"), 0.0),
        (b"new", Node(data=b"a"), 0.0),
    ],
)
def test_new_links_are_compared_by_what_they_lead_to(
    target: bytes, gold: Node, part: float
) -> None:
    """A link to a file that counts as another content, a link to itself that never ends."""
    told = compare(BEFORE, BEFORE | {"new": Node("link", target)}, BEFORE | {"new": gold}, "", "")
    assert told["parts"]["file_changes"] == part
