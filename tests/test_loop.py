"""The improvement loop: real tiny models, real training, kills at every phase."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import agentgym_si
from agentgym_si import codec
from agentgym_si.config import ImproveConfig, load_config
from agentgym_si.errors import BadInput
from agentgym_si.improving import check, default_folder
from agentgym_si.store import read_trajectories
from agentgym_si.types import Weighted

pytestmark = pytest.mark.train

LOOKUP = {
    "env": "agentgym_si/LongHorizon-v0",
    "env_options": {"keys": 3},
    "tasks": ["sum-k1-t1"],
    "in_flight": 8,
    "max_tokens": 8,
    "tiny": {"vocabulary": 300, "hidden": 64, "layers": 2, "heads": 4},
    "train": {"steps": 12, "batch_size": 8, "learning_rate": 0.002},
    "warm": {"seeds": 40, "steps": 40},
    "collect": {"seeds": 30, "temperature": 0.7},
    "evaluate": {"seeds": 20, "final_seeds": 10, "alpha": 1.0},
    "iterations": 1,
}


def table(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without what a clock measured."""
    return {key: value for key, value in report.items() if key != "cost"}


def record(folder: Path) -> list[Any]:
    """Return a run's trajectories without what a clock measured."""
    return [codec.encode(t) | {"costs": None} for t in read_trajectories(folder)]


@dataclass(frozen=True)
class Undisturbed:
    config: ImproveConfig
    folder: Path
    report: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    config = load_config(LOOKUP)
    return Undisturbed(config, folder, agentgym_si.improve(config, folder=folder))


def test_report_has_an_entry_an_iteration_with_interval_and_test(undisturbed: Undisturbed) -> None:
    entries = undisturbed.report["iterations"]
    assert [entry["iteration"] for entry in entries] == [0, 1]
    for entry in entries:
        assert entry["low"] <= entry["success"] <= entry["high"]
        assert (entry["n"], entry["failures"]) == (20, 0)
    assert set(entries[1]["paired"]) == {
        "difference",
        "low",
        "high",
        "p_value",
        "gained",
        "lost",
    }
    assert entries[1]["promoted"] and entries[1]["against"] == 0
    assert undisturbed.report["checkpoint"] == "checkpoints/1"
    assert json.loads((undisturbed.folder / "report.json").read_text()) == undisturbed.report


def test_no_seed_serves_two_purposes(undisturbed: Undisturbed) -> None:
    """An evaluation on training episodes would report memory as skill."""
    seeds: dict[str, set[int]] = {}
    for trajectory in read_trajectories(undisturbed.folder):
        seeds.setdefault(trajectory.id.split("/")[0], set()).add(trajectory.seed)
    seeds["final"] = seeds.pop("final-start") | seeds.pop("final-end")
    assert set(seeds) == {"warm", "collect", "evaluate", "final"}
    assert sum(map(len, seeds.values())) == len(set().union(*seeds.values()))


def test_rows_carry_their_provenance(undisturbed: Undisturbed) -> None:
    lines = (undisturbed.folder / "rows" / "1.jsonl").read_text().splitlines()
    rows = [codec.loads(Weighted, line) for line in lines]
    solved = {t.id for t in read_trajectories(undisturbed.folder, "collect/1/") if t.solved}
    assert {row.origin for row in rows} == solved
    assert undisturbed.report["iterations"][1]["rows"] == len(rows)


def test_the_same_command_again_plays_and_trains_nothing(undisturbed: Undisturbed) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in undisturbed.folder.rglob("*.safetensors")}
    before = record(undisturbed.folder)
    again = agentgym_si.improve(undisturbed.config, folder=undisturbed.folder)
    assert again == undisturbed.report
    assert record(undisturbed.folder) == before
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def _stored(folder: Path, prefix: str) -> int:
    path = folder / "trajectories.jsonl"
    return path.read_bytes().count(f'"id":"{prefix}'.encode()) if path.exists() else 0


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "warm start": lambda folder: _stored(folder, "warm/") >= 7,
    "warm training": lambda folder: (folder / "checkpoints/untrained/config.json").exists(),
    "first evaluation": lambda folder: _stored(folder, "evaluate/0/") >= 3,
    "collection": lambda folder: _stored(folder, "collect/1/") >= 11,
    "training": lambda folder: (folder / "phases/1-curate.json").exists(),
    "second evaluation": lambda folder: (folder / "phases/1-train.json").exists(),
    "last comparison": lambda folder: _stored(folder, "final-end/") >= 2,
}


def test_killed_in_every_phase_it_ends_with_the_same_table(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """SIGKILL one after the other in each phase of one run; the same command goes on each time."""
    folder = tmp_path / "run"
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(LOOKUP))
    command = [sys.executable, "-c", "from agentgym_si.cli import main; main()", "improve"]
    command += [str(config), "--out", str(folder)]
    killed = []
    for name, reached in MOMENTS.items():
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ)
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and not reached(folder):
            assert time.monotonic() < deadline, f"never reached {name}"
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed.append(name)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()
    assert len(killed) >= len(MOMENTS) - 1  # the last phase may be over before it is seen
    with (folder / "trajectories.jsonl").open("ab") as file:
        file.write(b'{"id":"collect/9/torn')
    report = agentgym_si.improve(undisturbed.config, folder=folder)
    assert table(report) == table(undisturbed.report)
    assert record(folder) == record(undisturbed.folder)


def test_a_failed_gate_rolls_back(tmp_path: Path) -> None:
    """A candidate that is not better must not become the policy."""
    config = load_config(
        {
            **LOOKUP,
            "iterations": 2,
            "train": {"steps": 1, "learning_rate": 1e-9},
            "evaluate": {"seeds": 10, "final_seeds": 0, "alpha": 0.05},
        }
    )
    report = agentgym_si.improve(config, folder=tmp_path / "run")
    assert [entry["promoted"] for entry in report["iterations"]] == [True, False, False]
    assert [entry["against"] for entry in report["iterations"][1:]] == [0, 0]
    assert report["checkpoint"] == "checkpoints/0" and report["final"] is None


def test_a_checkpoint_of_ones_own_is_the_start(undisturbed: Undisturbed, tmp_path: Path) -> None:
    start = undisturbed.folder / "checkpoints" / "1"
    config = {**LOOKUP, "policy": str(start), "warm": {"seeds": 0}, "method": "sharpening"}
    config |= {"method_options": {"samples": 2}}
    report = agentgym_si.improve(config, folder=tmp_path / "run")
    assert report["labels_used"] == []
    first, second = report["iterations"]
    assert first["success"] == undisturbed.report["iterations"][1]["success"]
    assert second["collected"] == 60 and second["rows"] == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ["sum-k1-t2x"]}, "unknown task 'sum-k1-t2x'.*did you mean"),
        ({"env": "agentgym_si/LongHorizn-v0"}, "unknown environment.*did you mean agentgym_si/Lo"),
        ({"method": "rtf"}, "unknown method 'rtf'; did you mean rft"),
        ({"method_options": {"treshold": 1}}, "method 'rft' with options.*treshold"),
        ({"method_options": {"samples": 0}}, "expected samples of at least 1, got 0"),
        ({"policy": "nowhere"}, "expected policy `tiny` or a checkpoint folder.*'nowhere'"),
        ({"warm": {"seeds": 0}}, "expected warm.seeds of at least 1"),
        ({"env_options": {"kys": 3}}, "environment 'agentgym_si/LongHorizon-v0' with"),
    ],
)
def test_names_that_lead_nowhere_are_found_before_anything_runs(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        check(load_config({**LOOKUP, **change}))


def test_the_default_folder_names_method_and_seed() -> None:
    assert default_folder(load_config({**LOOKUP, "seed": 4})) == Path("runs/improve-rft-4")
