"""Guards `report_to`: a logger gets the loss of every update, in the folder it was told of."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

from agentgym_si.config import load_config
from agentgym_si.errors import MissingDependency
from agentgym_si.improving import check
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.training.by_name import train_rows
from agentgym_si.types import Preference, Weighted

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logging") / "model"
    return build_tiny(folder, ["a b c"], vocabulary=300, hidden=32, layers=1, heads=2, context=64)


ROWS: dict[str, list[Any]] = {
    "sft": [Weighted((6, 7), (8, 9), (1.0, 1.0))] * 2,
    "kto": [Weighted((6, 7), (8, 9), (1.0, 1.0)), Weighted((6, 7), (9, 9), (-1.0, -1.0))] * 2,
    "dpo": [Preference((6, 7), (8, 9), (9, 9))] * 2,
}


@pytest.mark.parametrize("objective", ROWS)
def test_tensorboard_gets_the_loss_of_every_update(
    objective: str, start: Path, tmp_path: Path
) -> None:
    """A logger that is set up and told nothing, or that keeps its variables in the process."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    before = dict(os.environ)
    report = train_rows(
        objective,
        start,
        ROWS[objective],
        tmp_path / "out",
        steps=3,
        batch_size=2,
        bf16=False,
        device="cpu",
        report_to="tensorboard",
        log_folder=str(tmp_path / "logs"),
    )
    assert dict(os.environ) == before
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    losses = events.Scalars("train/loss")
    assert [entry.step for entry in losses] == [1, 2, 3]
    assert losses[-1].value == pytest.approx(report.last_loss, abs=1e-3)


TWICE = """
import sys
from agentgym_si.training.by_name import train_rows
from agentgym_si.types import Weighted
rows = [Weighted((6, 7), (8, 9), (1.0, 1.0))] * 2
settings = {"steps": 2, "batch_size": 2, "bf16": False, "device": "cpu"}
for name in ("0", "1"):
    train_rows("sft", sys.argv[2], rows, name, **settings, report_to=sys.argv[1],
               log_folder="logs/" + name)
"""


@pytest.mark.parametrize("logger", ["wandb", "trackio"])
def test_each_training_is_a_run_of_its_own(logger: str, start: Path, tmp_path: Path) -> None:
    """Iterations whose losses lie over one another in one run, and chatter in front of --json."""
    if find_spec(logger) is None:
        pytest.skip(f"{logger} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", TWICE, logger, str(start)],
        cwd=tmp_path,
        env={**os.environ, "WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout.replace("[INFO] Running in WANDB offline mode\n", "")  # of an import
    assert (done.returncode, told) == (0, ""), done.stderr
    if logger == "wandb":
        assert len(list((tmp_path / "logs" / "wandb").glob("offline-run-*"))) == 2
        return
    (path,) = (tmp_path / "logs").glob("*.db")
    with closing(sqlite3.connect(path)) as database:
        counts = database.execute("SELECT run_name, COUNT(*) FROM metrics GROUP BY run_name")
        assert dict(counts) == {"0": 3, "1": 3}  # two updates and the summary


def test_nothing_is_logged_unless_asked(start: Path, tmp_path: Path) -> None:
    settings = {"steps": 1, "batch_size": 2, "bf16": False, "device": "cpu"}
    train_rows("sft", start, ROWS["sft"], tmp_path / "out", **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert not list((tmp_path / "out").rglob("*tfevents*"))


def test_a_logger_that_is_not_installed_is_named_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hours of collecting before the first training says that a package is missing."""
    data = {"env": "agentgym_si/LongHorizon-v0", "tasks": ["sum-k1-t1"]}
    for name in ("wandb", "trackio"):
        config = load_config({**data, "train": {"report_to": name}})
        monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
        with pytest.raises(MissingDependency, match=f"pip install {name}"):
            check(config)
