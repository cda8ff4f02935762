"""The run folder: nothing lost, nothing doubled, nothing read wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from agentgym_si.errors import BadInput, BadRecord
from agentgym_si.store import FORMAT, Run, read_trajectories
from agentgym_si.types import Action, Task, Trajectory, Transition, Weighted

CONFIG = {"env": "x", "train": {"steps": 3}}


def trajectory(name: str) -> Trajectory:
    step = Transition("see\n\u2028\ud800", Action("do"), 1.0, True, False)
    return Trajectory(name, "env", Task("t"), (step,), "end", seed=1)


def test_what_is_appended_is_read_again_in_order(tmp_path: Path) -> None:
    with Run(tmp_path / "run", CONFIG) as run:
        for name in ("a/1", "a/2", "b/1"):
            run.append(trajectory(name))
        assert [t.id for t in run.trajectories("a/")] == ["a/1", "a/2"]
    with Run(tmp_path / "run", CONFIG) as run:
        assert run.ids == {"a/1", "a/2", "b/1"}
        assert next(run.trajectories()) == trajectory("a/1")


def test_ids_are_read_whatever_stands_first_and_others_are_left_alone(tmp_path: Path) -> None:
    """A line skipped by what looks like its id though it is asked for, or the other way round."""
    names = ["a/1", 'a/"2', "b/\u2028\\", "b/2"]
    with Run(tmp_path, CONFIG) as run:
        for name in names:
            run.append(trajectory(name))
    path = tmp_path / "trajectories.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    turned = [dict(reversed(line.items())) for line in lines]  # as another tool may write it
    path.write_text("".join(f"{json.dumps(line)}\n" for line in [*turned[:2], *lines[2:]]))
    for name in names:
        assert [t.id for t in read_trajectories(tmp_path, ids={name, "c"})] == [name]
    assert [t.id for t in read_trajectories(tmp_path, "b/", ids=set(names[:3]))] == [names[2]]


def test_an_id_is_stored_once(tmp_path: Path) -> None:
    with Run(tmp_path / "run", CONFIG) as run:
        run.append(trajectory("a"))
        with pytest.raises(BadInput, match="stored already"):
            run.append(trajectory("a"))


def test_a_torn_last_line_is_dropped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A kill in the middle of a write leaves half a line; the next line must not be glued to it."""
    with Run(tmp_path, CONFIG) as run:
        run.append(trajectory("a"))
        run.append(trajectory("b"))
    path = tmp_path / "trajectories.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with caplog.at_level(logging.WARNING):
        assert [t.id for t in read_trajectories(tmp_path)] == ["a"]
        with Run(tmp_path, CONFIG) as run:
            assert run.ids == {"a"} and run.dropped_bytes > 0
            run.append(trajectory("b"))
    assert "torn last line" in caplog.text
    assert path.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    with Run(tmp_path, CONFIG) as run:
        run.append(trajectory("a"))
    path = tmp_path / "trajectories.jsonl"
    path.write_bytes(b'{"id": 3}\n' + path.read_bytes())
    with pytest.raises(BadRecord, match="line 1: expected str, got int"):
        list(read_trajectories(tmp_path))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Run(tmp_path, CONFIG).close()
    description = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(description | {"format": FORMAT + 1}))
    with pytest.raises(BadInput, match=f"has format {FORMAT + 1}, this version reads up to"):
        Run(tmp_path, CONFIG)
    with pytest.raises(BadInput, match="has format"):
        list(read_trajectories(tmp_path))


def test_another_config_is_refused_and_the_key_named(tmp_path: Path) -> None:
    Run(tmp_path, CONFIG).close()
    with pytest.raises(BadInput, match=r"begun with train\.steps=3, now it is 4"):
        Run(tmp_path, {"env": "x", "train": {"steps": 4}})


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(BadInput, match="got other files"):
        Run(tmp_path, CONFIG)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with Run(tmp_path, CONFIG), pytest.raises(BadInput, match="in use"):
        Run(tmp_path, CONFIG)
    Run(tmp_path, CONFIG).close()


def test_phases_rows_and_blobs_come_back(tmp_path: Path) -> None:
    row = Weighted((1, 2), (3,), (0.5,), (-0.25,), origin="a")
    with Run(tmp_path, CONFIG) as run:
        assert run.phase("1-train") is None
        run.finish_phase("1-train", {"checkpoint": "checkpoints/1", "seconds": 1.5})
        assert run.phase("1-train") == {"checkpoint": "checkpoints/1", "seconds": 1.5}
        run.write_rows("1", [row, row])
        assert run.read_rows("1") == [row, row]
        digest = run.write_blob(b"pixels")
        assert run.write_blob(b"pixels") == digest and run.read_blob(digest) == b"pixels"
        with pytest.raises(BadInput, match="no blob"):
            run.read_blob("0" * 64)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"expected a run folder \(with run.json\)"):
        list(read_trajectories(tmp_path / "nowhere"))


@pytest.mark.train
def test_datasets_reads_the_file_as_it_is(tmp_path: Path) -> None:
    import datasets

    with Run(tmp_path / "run", CONFIG) as run:
        run.append(trajectory("a"))
        run.append(trajectory("b"))
    loaded = datasets.load_dataset(
        "json",
        data_files=str(tmp_path / "run" / "trajectories.jsonl"),
        cache_dir=str(tmp_path / "cache"),
        split="train",
    )
    assert loaded["id"][:] == ["a", "b"]
