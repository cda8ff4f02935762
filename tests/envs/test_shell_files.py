"""Guards the reading of a box's files: everything there, nothing forged, nothing alive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgym_si.envs import shell_guest
from agentgym_si.envs.shell_files import Node, Unreadable, final_tree, lay_out, text_tree
from agentgym_si.sandboxes.base import Limits, Sandbox
from agentgym_si.sandboxes.opening import TIERS, open_sandbox, probe


@pytest.fixture(scope="module", params=TIERS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    found = probe(request.param)
    if not found.works:
        pytest.skip(f"{request.param}: {found.why}")
    with open_sandbox(request.param, Limits(seconds=20)) as opened:
        yield opened


def run(sandbox: Sandbox, command: str) -> None:
    result = sandbox.exec(["bash", "-c", command])
    assert result.exit_code == 0, result


def test_what_is_laid_out_is_read_back(sandbox: Sandbox) -> None:
    """Bytes, modes, links or empty folders that get lost on the way."""
    tree = text_tree({"a/b/c.txt": "tea\n"}, ["empty"])
    tree |= {
        "bytes": Node(data=bytes(range(256)), mode=0o600),
        "link": Node("link", b"a/b"),
        "locked": Node("folder", mode=0o500),
    }
    sandbox.reset()
    lay_out(sandbox, tree)
    found = final_tree(sandbox)
    assert sorted(found) == sorted([*tree, "a", "a/b"])
    assert found["bytes"] == Node("file", bytes(range(256)), 0o600)
    assert found["a/b/c.txt"] == Node("file", b"tea\n", 0o644)
    assert found["link"].data == b"a/b"
    assert (found["locked"].mode, found["empty"].mode) == (0o500, 0o755)


def test_every_kind_of_entry_is_told(sandbox: Sandbox) -> None:
    """A pipe that hangs the reader, a mode that hides a file, a name that is no UTF-8."""
    sandbox.reset()
    run(
        sandbox,
        "mkfifo pipe; echo x > hidden; mkdir dark; touch dark/inside; chmod 000 hidden dark; "
        "ln -s /etc/passwd out; touch $'\\377'; truncate -s 20M large",
    )
    found = final_tree(sandbox)
    assert {path: (node.kind, node.data) for path, node in found.items()} == {
        "pipe": ("other", b""),
        "hidden": ("file", b"x\n"),
        "dark": ("folder", b""),
        "dark/inside": ("file", b""),
        "out": ("link", b"/etc/passwd"),
        "\udcff": ("file", b""),
        "large": ("file", None),
    }
    assert found["hidden"].mode == found["dark"].mode == 0


def test_nothing_is_alive_when_the_files_are_read(sandbox: Sandbox) -> None:
    """A daemon that changes files under the judge's eyes."""
    sandbox.reset()
    run(sandbox, "setsid bash -c 'while :; do echo x >> grows; done' > /dev/null 2>&1 & sleep 0.1")
    first = final_tree(sandbox)["grows"].data
    assert first
    assert sandbox.read("grows") == first


def test_too_much_to_read_is_said(sandbox: Sandbox) -> None:
    """A listing that stops halfway and is taken for the whole."""
    sandbox.reset()
    count = shell_guest.MAX_ENTRIES + 10
    run(sandbox, f"mkdir a && cd a && seq {count} | xargs touch && mkdir ../b")
    with pytest.raises(Unreadable, match="more than"):
        final_tree(sandbox)
