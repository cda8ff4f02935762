"""WebEvolver through the loop: real tiny models, imagined episodes marked, capped and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentgym_si
from agentgym_si import codec
from agentgym_si.errors import BadInput
from agentgym_si.store import read_trajectories
from agentgym_si.types import Weighted

pytestmark = pytest.mark.train

CONFIG: dict[str, Any] = {
    "env": "agentgym_si/LongHorizon-v0",
    "env_options": {"keys": 3},
    "tasks": ["sum-k1-t1"],
    "in_flight": 8,
    "max_tokens": 8,
    "tiny": {"vocabulary": 300, "hidden": 32, "layers": 2, "heads": 2},
    "train": {"steps": 8, "batch_size": 8, "learning_rate": 0.002, "imagined_share": 0.25},
    "warm": {"seeds": 30, "steps": 30},
    "collect": {"seeds": 20, "temperature": 1.0},
    "evaluate": {"seeds": 10, "final_seeds": 0, "alpha": 1.0},
    "iterations": 1,
    "method": "webevolver",
    "method_options": {
        "attempts": 4,
        "most": 2,
        "accept": "always",
        "world": {
            "steps": 60,
            "batch_size": 8,
            "learning_rate": 0.004,
            "held_out": 0.2,
            "threshold": 0.0,
            "max_tokens": 40,
        },
    },
}


def table(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "cost"}


def rows_of(folder: Path, name: str) -> list[Weighted]:
    lines = (folder / "rows" / f"{name}.jsonl").read_text().splitlines()
    return [codec.loads(Weighted, line) for line in lines]


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("evolved") / "run"
    return folder, agentgym_si.improve(CONFIG, folder=folder)


def test_imagined_rows_are_marked_capped_and_reported(
    evolved: tuple[Path, dict[str, Any]],
) -> None:
    folder, report = evolved
    entry = report["iterations"][1]
    made = entry["synthesis"]
    assert made["imagined"] == 4 * made["unsolved"] and made["kept"] > 0
    rows = [*rows_of(folder, "0"), *rows_of(folder, "1")]
    imagined = [row for row in rows if row.world == "imagined"]
    assert imagined and {row.world_version for row in imagined} == {made["world_version"]}
    assert {row.world_version for row in rows if row.world == "real"} == {""}
    share = len(imagined) / len(rows)
    assert share <= 0.25 and entry["imagined_share"] == pytest.approx(share)
    assert entry["imagined_rows"] == len(imagined)
    stored = {t.id: t for t in read_trajectories(folder, "imagined/1/")}
    assert {row.origin for row in imagined} <= set(stored)
    for trajectory in stored.values():
        assert trajectory.world == "imagined" and trajectory.parent.startswith("collect/1/")


def test_imagined_episodes_begin_as_the_real_ones_they_repeat(
    evolved: tuple[Path, dict[str, Any]],
) -> None:
    """From the real first observation, and only of what no real episode solved."""
    folder, _ = evolved
    real = {t.id: t for t in read_trajectories(folder, "collect/1/")}
    solved = {(t.task.id, t.seed) for t in real.values() if t.solved}
    for trajectory in read_trajectories(folder, "imagined/"):
        parent = real[trajectory.parent]
        first = trajectory.transitions[0].observation
        assert first == parent.transitions[0].observation
        assert (trajectory.task.id, trajectory.seed) not in solved


def test_imagination_has_a_temperature_of_its_own(
    evolved: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Attempts that are all alike find nothing that the first did not."""
    config = CONFIG | {"method_options": CONFIG["method_options"] | {"temperature": 0.01}}
    cold = agentgym_si.improve(config, folder=tmp_path / "cold")["iterations"][1]["synthesis"]
    warm = evolved[1]["iterations"][1]["synthesis"]
    assert cold["unsolved"] == warm["unsolved"]
    assert 0 < cold["kept"] < 0.75 * warm["kept"]


def test_cost_separates_real_steps_from_imagined(evolved: tuple[Path, dict[str, Any]]) -> None:
    folder, report = evolved
    real = [t for t in read_trajectories(folder) if t.world == "real"]
    cost = report["cost"]
    assert cost["episodes"] == len(real) == 30 + 20 + 10 + 10
    assert cost["steps"] == sum(len(t.transitions) for t in real)
    assert cost["imagined_episodes"] == len(list(read_trajectories(folder, "imagined/")))


def test_killed_while_it_imagines_it_ends_with_the_same_table(
    evolved: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """SIGKILL as the world model is trained, and as imagined episodes are being stored."""
    folder, config = tmp_path / "run", tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    code = "import sys, agentgym_si; agentgym_si.improve(sys.argv[1], folder=sys.argv[2])"
    command = [sys.executable, "-c", code, str(config), str(folder)]
    moments: tuple[Callable[[], bool], ...] = (
        lambda: (folder / "synthesis").exists(),
        lambda: (folder / "synthesis/world-1/world_model.json").exists(),
    )
    for reached in moments:
        process = subprocess.Popen(command, env=dict(os.environ))
        deadline = time.monotonic() + 120
        while process.poll() is None and not reached():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "report.json").exists(), "killed too late to show anything"
    again = agentgym_si.improve(CONFIG, folder=folder)
    assert table(again) == table(evolved[1])
    assert rows_of(folder, "1") == rows_of(evolved[0], "1")


def test_no_evaluation_task_reaches_a_row(tmp_path: Path) -> None:
    """A canary in the pages and answers of held-out tasks: policy and world model never see it."""
    canary = "zqxcanary"
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<title>home</title><h1>home</h1><a href='/a.html'>one</a>")
    (site / "a.html").write_text(f"<title>{canary}</title><h1>{canary}</h1>")
    entries = [
        {"id": "t", "instruction": "stay", "state": {}, "solution": ["noop()"]},
        {
            "id": "e",
            "instruction": f"open {canary}",
            "state": {},
            "split": "test",
            "solution": ["click('2')", f"send_msg_to_user('{canary}')"],
        },
    ]
    (site / "tasks.json").write_text(json.dumps(entries))
    folder = tmp_path / "run"
    config = CONFIG | {
        "env": "agentgym_si/Sites-v0",
        "env_options": {"sites": str(site), "max_steps": 1},
        "tasks": ["site-tasks-t"],
        "in_flight": 2,
        "warm": {"seeds": 3, "steps": 4},
        "collect": {"seeds": 3, "temperature": 1.0},
        "evaluate": {"tasks": ["site-tasks-e"], "seeds": 1, "final_seeds": 0, "alpha": 1.0},
    }
    world = CONFIG["method_options"]["world"] | {"steps": 4}
    config["method_options"] = CONFIG["method_options"] | {"world": world}
    agentgym_si.improve(config, folder=folder)
    seen = {t.id for t in read_trajectories(folder) if canary in json.dumps(codec.encode(t))}
    assert seen and all(name.startswith("evaluate/") for name in seen), "the canary was played"
    for place in ("rows", "synthesis", "checkpoints"):
        for path in (folder / place).rglob("*"):
            if path.is_file():
                assert canary.encode() not in path.read_bytes(), f"{path} holds the canary"
    from agentgym_si.worldmodel.lived import lived

    evaluated = list(read_trajectories(folder, "evaluate/"))
    with pytest.raises(BadInput, match="split"):
        lived(evaluated)


def test_shares_and_numbers_that_mean_nothing_are_refused() -> None:
    from agentgym_si.specs import load_method

    for options in ({"attempts": 0}, {"most": 0}, {"temperature": 0}, {"world": {"steps": 0}}):
        with pytest.raises(BadInput):
            load_method("webevolver", options)
    with pytest.raises(BadInput, match="judge"):
        load_method("webevolver", {"accept": "best"})
