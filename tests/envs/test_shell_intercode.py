"""Guards the InterCode suite: commands passed on as the official environment does, and verdicts."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgym_si.envs.shell import ShellEnv
from agentgym_si.errors import BadInput
from agentgym_si.sandboxes.opening import probe

OFFICIAL = Path(__file__).parents[2].parent / "shared" / "data" / "code" / "intercode"
TASKS = [
    {"query": "print the greeting", "gold": "cat /bed/hello.txt"},
    {"query": "make the file /bed/new", "gold": "echo tea > /bed/new"},
]


@pytest.fixture(scope="module", autouse=True)
def _needs_bubblewrap() -> None:
    found = probe("bubblewrap")
    if not found.works:
        pytest.skip(found.why)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of our own in the benchmark's layout."""
    folder = tmp_path_factory.mktemp("intercode")
    for number in "13":
        (folder / f"nl2bash_fs_{number}.json").write_text(json.dumps(TASKS))
        with tarfile.open(folder / f"fs_{number}.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo("bed/hello.txt")
            member.size, member.mtime = 12, 1_700_000_000
            archive.addfile(member, io.BytesIO(b"hello there\n"))
    return folder


@pytest.fixture(scope="module")
def env(data: Path) -> Iterator[ShellEnv]:
    with ShellEnv(suite="intercode", data=data) as made:
        yield made


def play(env: ShellEnv, task: str, *actions: str) -> tuple[list[str], float, dict[str, object]]:
    env.reset(seed=0, options={"task": task})
    seen = [env.step(action)[0] for action in actions]
    _, reward, terminated, _, info = env.step("submit()")
    assert terminated
    return seen, reward, info


def test_the_gold_command_succeeds_and_looking_around_does_not(env: ShellEnv) -> None:
    """The official points for nothing as a reward."""
    for task in env.task_ids:
        assert play(env, task, env.all_tasks[task].solution[0])[1:][0] == 1.0
    _, reward, info = play(env, "fs1-0", "ls /")
    assert (reward, info["success"]) == (0.0, False)
    assert 0.67 <= float(str(info["official_reward"])) < 0.75
    assert play(env, "fs1-0", "cat /bed/hello.txt", "touch /zz_extra")[1] == 0.0
    assert play(env, "fs1-1", "echo tea > /bed/new; rm /bed/hello.txt")[1] == 0.0


def test_commands_reach_bash_as_they_do_officially(env: ShellEnv) -> None:
    """Quoting that is kept where the official environment loses it; a folder that is not kept."""
    seen, _, _ = play(
        env,
        "fs1-0",
        'echo "a  b" c',  # the outer quotes end at the inner ones: $0 is all after the space
        "echo 'a  b'",
        "echo 'open\" quote",
        "cd bed/./x/..",
        "pwd; ls",
        "cd /nowhere",
        "pwd",
        "id -un; ls -d /work /tmp; touch /usr/x && echo $HOME",
    )
    assert seen == [
        "a",
        "a  b",
        "Malformed command\n[exit code 1]",
        "[no output]",
        "/bed\nhello.txt",
        "/bin/bash: line 1: cd: /nowhere: No such file or directory\n[exit code 1]",
        "/bed",
        "root\nls: cannot access '/work': No such file or directory\n"
        "ls: cannot access '/tmp': No such file or directory\n/root",
    ]


def test_a_preloaded_library_does_not_reach_the_judge(env: ShellEnv) -> None:
    """A box whose /etc can be written, and a judge whose programs read it."""
    forged = "mkdir -p /etc; echo /bed/hello.txt > /etc/ld.so.preload; touch /zz; sleep 60 &"
    _, reward, info = play(env, "fs1-0", forged, "cat /bed/hello.txt")
    assert (reward, info["success"]) == (0.0, False)


def test_a_folder_that_is_not_the_benchmark_is_refused(data: Path, tmp_path: Path) -> None:
    """Files that are missing and tasks that are silently none."""
    for name in ("nl2bash_fs_1.json", "nl2bash_fs_3.json", "fs_1.tar.gz"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    with pytest.raises(BadInput, match=r"fs_3\.tar\.gz"):
        ShellEnv(suite="intercode", data=tmp_path).reset(seed=0)
    (tmp_path / "nl2bash_fs_1.json").write_text('[{"query": 1}]')
    with pytest.raises(BadInput, match=r"nl2bash_fs_1\.json"):
        ShellEnv(suite="intercode", data=tmp_path)


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="no benchmark data here")
def test_official_verdicts_are_ours() -> None:
    """A rule of the official reward that was read wrongly."""
    with gzip.open(OFFICIAL / "official_verdicts_fs1.jsonl.gz", "rt") as lines:
        rows = {(row["i"], row["kind"]): row for row in map(json.loads, lines)}
    with ShellEnv(suite="intercode", data=OFFICIAL) as env:
        for number, kind in (
            (0, "gpt4_first_action"),
            (44, "reference"),
            (57, "gpt4_first_action"),
        ):
            row = rows[number, kind]
            info = play(env, f"fs1-{number}", *row["actions"])[2]
            assert info["parts"] == row["parts"]
            assert info["diff_miss"] == row["diff_miss"]
