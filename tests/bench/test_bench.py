"""Guards the suites: what is counted, what is refused, what a killed bench goes on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from typer.testing import CliRunner

from agentgym_si.bench.comparing import compare_benches
from agentgym_si.bench.data import find_worlds
from agentgym_si.bench.methods import play_methods
from agentgym_si.bench.playing import play_suite, remove, summary, tasks_of
from agentgym_si.bench.suites import (
    EpisodeSuite,
    MethodSuite,
    WorldSettings,
    load_suite,
    shipped,
)
from agentgym_si.bench.tables import Page, page_of_worlds
from agentgym_si.cli import app
from agentgym_si.config import load_config
from agentgym_si.envs import ENTRY_POINTS
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.specs import load_method
from agentgym_si.store import read_trajectories
from agentgym_si.synthesis import SynthesisContext
from agentgym_si.types import Action, Costs, Failure, Task, Trajectory, Transition

HORIZON = "agentgym_si/LongHorizon-v0"
SMALL = {
    "samples": 2,
    "worlds": {"sums": {"env": HORIZON, "tasks": ["sum-k1-t1", "sum-k1-t5"], "seeds": 3}},
}


def small(**changes: Any) -> EpisodeSuite:
    return EpisodeSuite.model_validate(SMALL | changes)


def played(seed: int, right: int, failed: bool = False) -> Trajectory:
    step = Transition("o", Action("a"), right, True, False)
    failure = Failure("died", "gone") if failed else None
    cost = Costs(1.0, 2.0, 3, 4)
    return Trajectory("", "e", Task("t"), (step,), "", seed, failure=failure, costs=cost)


def test_a_summary_by_hand() -> None:
    """Failed boxes in the denominator; attempts at one problem taken for independent ones."""
    found = summary(
        [played(0, 1), played(0, 0), played(1, 1), played(1, 1), played(1, 0, failed=True)], 4
    )
    assert (found["n"], found["problems"], found["failures"]) == (4, 2, 1)
    assert found["success"] == 0.75 and found["failure_kinds"] == {"died": 1}
    assert (found["low"], found["high"]) == (
        pytest.approx(0.198, abs=5e-4),
        pytest.approx(0.973, abs=5e-4),
    )
    passing = {row["k"]: (row["at_least_one"], row["every_one"]) for row in found["passing"]}
    assert passing == {1: (0.75, 0.75), 2: (1.0, 0.5)}
    assert found["cost"] == {"env_seconds": 5.0, "model_seconds": 10.0, "tokens": 15, "calls": 20}


def test_nothing_that_counts_is_no_score() -> None:
    found = summary([played(0, 0, failed=True)], 2)
    assert (found["n"], found["low"], found["high"], found["passing"]) == (0, 0.0, 1.0, [])


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_suite_names_what_there_is(name: str) -> None:
    """A typing error in a suite that is found hours into it."""
    suite = load_suite(name)
    if isinstance(suite, EpisodeSuite):
        for settings in suite.worlds.values():
            assert settings.env in ENTRY_POINTS
            if "MiniWoB" not in settings.env:  # its tasks need the browser's package
                assert tasks_of(settings)
        return
    for settings in suite.worlds.values():
        config = load_config(settings)
        assert config.evaluate.final_seeds and config.env in ENTRY_POINTS
    for method, given in suite.methods.items():
        load_method(given.method or method, given.options)


def test_a_suite_is_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert load_suite(str(path)) == small()
    path.write_text(yaml.safe_dump(SMALL | {"sample": 3}))
    with pytest.raises(UnknownName, match=r"unknown key 'sample'.*did you mean samples"):
        load_suite(str(path))
    path.write_text("- a list")
    with pytest.raises(BadInput, match="expected keys and values"):
        load_suite(str(path))
    with pytest.raises(UnknownName, match="unknown suite 'smok'; did you mean smoke"):
        load_suite("smok")


def test_worlds_of_methods_may_be_named_by_their_config(tmp_path: Path) -> None:
    """A suite that repeats a shipped job says something else once the job changes."""
    file = tmp_path / "mine.yaml"
    file.write_text("methods: {rft: {}}\nworlds: {mine: tools, other: nowhere}\n")
    suite = load_suite(str(file))
    assert isinstance(suite, MethodSuite)
    assert load_config(suite.worlds["mine"]) == load_config("tools")
    with pytest.raises(BadInput, match="none shipped"):
        play_methods("mine", suite, tmp_path / "run")


def test_globs_choose_tasks_and_a_glob_for_nothing_is_refused() -> None:
    assert tasks_of(WorldSettings(env=HORIZON, tasks=("sum-k1-t?", "sum-k1-t1*0"))) == [
        "sum-k1-t1", "sum-k1-t5", "sum-k1-t10", "sum-k1-t100",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="unknown task 'sum-k3-"):
        tasks_of(WorldSettings(env=HORIZON, tasks=("sum-k3-*",)))


def test_the_data_of_benchmarks_is_found_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "code" / "mbpp").mkdir(parents=True)
    (tmp_path / "code" / "mbpp" / "mbpp.jsonl").write_text("{}")
    (tmp_path / "BFCL_v4_simple.json").write_text("")
    found = find_worlds(tmp_path)
    assert {name: world["env"] for name, world in found.items()} == {
        "bfcl": "agentgym_si/FunctionCalling-v0",
        "mbpp": "agentgym_si/Code-v0",
    }
    assert found["mbpp"]["options"] == {"suite": "mbpp", "data": str(tmp_path / "code" / "mbpp")}
    with pytest.raises(BadInput, match="found none"):
        find_worlds(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_a_bench_scores_beside_its_baselines_and_is_stored_once(tmp_path: Path) -> None:
    report = play_suite("mine", small(), "oracle", tmp_path / "run")
    row = report["worlds"]["sums"]
    assert (row["success"], row["n"], row["problems"], row["failures"]) == (1.0, 12, 6, 0)
    assert [(p["k"], p["at_least_one"], p["every_one"]) for p in row["passing"]] == [
        (1, 1.0, 1.0),
        (2, 1.0, 1.0),
    ]
    baselines = {role: (s["success"], s["n"]) for role, s in row["baselines"].items()}
    assert baselines == {"noop": (0.0, 6), "random": (0.0, 6)}
    assert row["cost"]["calls"] == row["steps"] == 2 * 3 * (1 + 5)
    assert report["limits"]["samples"] == 2 and report["hardware"]["processors"]
    play_suite("mine", small(), "oracle", tmp_path / "run")
    assert len(list(read_trajectories(tmp_path / "run"))) == 12 + 6 + 6
    page = page_of_worlds(report).markdown()
    assert "100.0% [61.0, 100.0] | 0.0% | 0.0% | 100.0% | 100.0% | 12 (6)" in page


def test_other_limits_are_neither_merged_nor_compared(tmp_path: Path) -> None:
    play_suite("mine", small(), "noop", tmp_path / "a")
    with pytest.raises(BadInput, match=r"begun with bench.temperature=0.7, now it is 0.0"):
        play_suite("mine", small(temperature=0.0), "noop", tmp_path / "a")
    play_suite("mine", small(max_tokens=7), "oracle", tmp_path / "b")
    with pytest.raises(BadInput, match="same limits, got max_tokens=512 for noop and 7 for oracle"):
        compare_benches(tmp_path / "a", tmp_path / "b")
    play_suite("mine", small(), "oracle", tmp_path / "c")
    found = compare_benches(tmp_path / "a", tmp_path / "c")["worlds"]["sums"]
    assert (found["difference"], found["better"], found["worse"]) == (1.0, 6, 0)


def test_only_a_bench_is_removed(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "config": {"env": "x"}}))
    with pytest.raises(BadInput, match="folder of a bench"):
        remove(tmp_path)
    assert (tmp_path / "run.json").exists()


def test_the_page_escapes_what_it_is_told() -> None:
    page = Page("a <b>", ("x|y",), (("<script>",),), ("n & m",))
    assert "<script>" not in page.html() and "a &lt;b&gt;" in page.html()
    assert "| x\\|y |" in page.markdown()


def test_a_wide_table_is_cut_into_parts_that_name_their_rows() -> None:
    """Columns of three letters on a terminal of 80 characters, which is what a container has."""
    columns = ("world", "a" * 30, "b" * 30, "c" * 90, "d")
    page = Page("t", columns, (("w" * 5, "", "", "", ""),), ())
    assert page.parts(200) == [[0, 1, 2, 3, 4]]
    assert page.parts(80) == [[0, 1, 2], [0, 3], [0, 4]]


def test_the_command_goes_on_after_a_kill(tmp_path: Path) -> None:
    """Episodes lost or played twice; another result than that of an undisturbed bench."""
    suite = tmp_path / "slow.yaml"
    world = {"env": "slow_env:slow/Count-v0", "seeds": 60}
    suite.write_text(yaml.safe_dump({"samples": 1, "in_flight": 2, "worlds": {"count": world}}))
    (tmp_path / "slow_env.py").write_text(
        "import time\n"
        "import gymnasium as gym\n"
        "from agentgym_si.envs.base import TextEnv\n"
        "from agentgym_si.types import Task\n"
        "class Count(TextEnv):\n"
        "    instructions, examples = 'count', ('1', '2')\n"
        "    def tasks(self): return [Task('one')]\n"
        "    def start(self, task, rng): self.n = str(rng.integers(1, 3)); return 'which?'\n"
        "    def act(self, action): time.sleep(0.02); return 'so', float(action == self.n), True\n"
        "    def oracle(self): return self.n\n"
        "gym.register('slow/Count-v0', entry_point='slow_env:Count')\n"
    )
    line = [sys.executable, "-c", "from agentgym_si.cli import main; main()", "bench", str(suite)]
    line += ["--policy", "random", "--json"]
    stored = tmp_path / "killed" / "trajectories.jsonl"
    begun = subprocess.Popen(
        [*line, "--out", "killed"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not stored.exists() or stored.read_bytes().count(b"\n") < 15:
        assert begun.poll() is None and time.monotonic() < deadline, begun.communicate()
        time.sleep(0.01)
    os.kill(begun.pid, signal.SIGKILL)
    begun.communicate()
    before = stored.read_bytes()
    assert not (tmp_path / "killed" / "report.json").exists()
    reports = []
    for folder in ("killed", "whole"):
        done = subprocess.run(
            [*line, "--out", folder], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout)["worlds"]["count"])
    assert stored.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len({json.loads(row)["id"] for row in stored.read_text().splitlines()}) == 180
    assert {key: reports[0][key] for key in ("success", "n", "passing")} == {
        key: reports[1][key] for key in ("success", "n", "passing")
    }
    assert (tmp_path / "killed" / "report.html").exists()


def test_the_command_says_what_it_lacks() -> None:
    def refused(message: str, *arguments: str) -> None:
        with pytest.raises(BadInput, match=message):
            CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=False)

    refused("expected --policy for smoke", "smoke")
    refused("expected no --policy", "self-improvement", "--policy", "noop")
    refused("--samples of at least 1", "smoke", "--policy", "noop", "--samples", "0")
    refused("expected --seeds alone", "self-improvement", "--temperature", "1")


# Methods ----------------------------------------------------------------------------------


def test_a_method_sees_no_more_than_its_steps() -> None:
    from agentgym_si.bench.methods import WithinSteps, within

    rows = [played(seed, 1) for seed in range(5)]
    assert within(rows, 3) == rows[:3] and within(rows, 9) == rows
    method = SimpleNamespace(
        samples=2, labels_used=(), objective="dpo", curate=lambda seen, context: seen
    )
    limited = WithinSteps(method, 2)
    context: Any = None
    assert list(limited.curate(rows, context)) == rows[:2] and limited.objective == "dpo"
    assert getattr(limited, "synthesise", None) is None
    method.synthesise = lambda context: context.collected
    given = SynthesisContext(*[cast(Any, None)] * 3, [rows, rows[:1]], *[cast(Any, None)] * 6)
    assert limited.synthesise(given) == [rows[:2], rows[:1]]


@pytest.mark.train
def test_methods_are_compared_from_one_start(tmp_path: Path) -> None:
    from agentgym_si.bench.methods import play_methods

    job = {
        "env": HORIZON,
        "env_options": {"keys": 1},
        "tasks": ["sum-k1-t1"],
        "tiny": {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2},
        "iterations": 1,
        "max_tokens": 4,
        "warm": {"seeds": 20, "steps": 5},
        "collect": {"seeds": 4},
        "train": {"steps": 3, "batch_size": 4},
        "evaluate": {"final_seeds": 8},
    }
    suite = MethodSuite.model_validate(
        {
            "seeds": 2,
            "methods": {"warm-only": {}, "rft": {"options": {"samples": 3}}},
            "worlds": {"sums": job},
            "steps": {"sums": 10},
        }
    )
    report = play_methods("small", suite, tmp_path / "run")
    methods = report["worlds"]["sums"]["methods"]
    for arm, steps in (("warm-only", 0), ("rft", 10)):
        runs = methods[arm]["runs"]
        assert [(run["real_steps"], run["updates"], run["n"]) for run in runs] == [
            (steps, 3, 8)
        ] * 2
    starts = {run["start"] for arm in methods.values() for run in arm["runs"][:1]}
    assert len(starts) == 1 and methods["rft"]["over_control"]["low"] is not None
    again = play_methods("small", suite, tmp_path / "run")
    assert again["worlds"] == report["worlds"]
