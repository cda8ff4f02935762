"""TT-SI as users call it: one wrapper in every family of environments, and nothing that leaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import gymnasium as gym
from typer.testing import CliRunner

from agentgym_si.adapt.neighbours import Neighbour
from agentgym_si.adapt.practising import FIRST_SEED, Practice
from agentgym_si.adapt.records import InstanceRecord, records_of
from agentgym_si.adapt.signals import Consensus, Gate
from agentgym_si.adapt.test_time import TestTimePolicy
from agentgym_si.cli import app
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.improving import improve
from agentgym_si.methods.ttsi import TTSI, ttsi
from agentgym_si.methods.ttsi_pooled import TTSIPooled
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.rollouts import rollout
from agentgym_si.specs import load_policy
from agentgym_si.store import read_trajectories
from agentgym_si.types import Trajectory

pytestmark = pytest.mark.train

ORDER = '{"name": "get_product", "arguments": {"item": "oven"}}'
AREA = '{"name": "shape.area", "arguments": {"width": 4, "height": 5}}'
CLICK = "click('1') on\n[1] button"
PROGRAM = "def f(x): return x"


@pytest.fixture
def run(play: Any) -> Any:
    """Return a function that plays two episodes from the command line, to their records."""

    def played(*arguments: Any, **options: Any) -> list[InstanceRecord]:
        episodes = play(*arguments, **options)
        assert all("+ttsi-" in one.policy_version for one in episodes)
        records = records_of(episodes)
        assert len(records) == 2
        return records

    return played


def check_adapted(records: list[InstanceRecord], said: str) -> None:
    """Every instance was adapted to, on a neighbour that the preset's check let through."""
    for record in records:
        assert record.adapted, record.samples
        kept = [sample for sample in record.samples if not sample.rejected]
        assert {sample.answers for sample in kept} == {(said,)}
        assert len(record.losses) == 5 * len(kept)
        assert record.before is not None
        assert record.cost.tokens_trained > 0


def test_on_tools(parrot: Any, run: Any, tmp_path: Path) -> None:
    """A wrapper that one family of environments needs a change for."""
    policy = f"ttsi,tau=2,compare=true:{parrot(ORDER)}"
    more = ("--task", "orders-l1-0000", "--max-steps", "2")
    records = run("agentgym_si/Tools-v0", policy, tmp_path / "run", *more)
    check_adapted(records, ORDER)
    assert all(0 <= record.certainty <= 1 for record in records)


def test_on_bfcl_data(parrot: Any, run: Any, own_bfcl: str, tmp_path: Path) -> None:
    """Functions that are lost from the neighbour, so that no call of it fits a schema."""
    policy = f"ttsi,k=4,tau=2,compare=true:{parrot(AREA)}"
    more = ("--task", "simple_python_0")
    check_adapted(run(own_bfcl, policy, tmp_path / "run", *more), AREA)


@pytest.mark.browser
def test_on_miniwob(parrot: Any, run: Any, tmp_path: Path) -> None:
    """Candidates of a page that never reach the gate."""
    policy = f"ttsi,preset=web,k=4,tau=2,compare=true:{parrot(CLICK)}"
    more = ("--task", "click-test-2", "--max-steps", "2")
    check_adapted(run("agentgym_si/MiniWoB-v0", policy, tmp_path / "run", *more), CLICK)


def test_on_code(parrot: Any, run: Any, tmp_path: Path) -> None:
    """Programs, which cannot be counted out: candidates are samples."""
    policy = f"ttsi,preset=code,tau=2,compare=true:{parrot(PROGRAM)}"
    check_adapted(run("agentgym_si/Code-v0", policy, tmp_path / "run", boxes=True), PROGRAM)


def test_what_a_certainty_was_worth_is_probed(parrot: Any, run: Any, tmp_path: Path) -> None:
    """Calibration of episodes that were adapted to; a probe without a certainty to read."""
    env, more = "agentgym_si/Tools-v0", ("--task", "orders-l1-0000", "--max-steps", "2")
    folder = parrot(ORDER)
    run(env, f"ttsi,tau=0:{folder}", tmp_path / "run", *more)
    done = CliRunner().invoke(app, ["probe", "calibration", str(tmp_path / "run"), "--json"])
    assert done.exception is None, done.output
    figures = json.loads(done.stdout)
    assert (figures["n"], figures["accuracy"], figures["auroc"]) == (2, 0.0, None)
    assert [gate["tau"] for gate in figures["gates"]] == [0.35, 0.8, 0.95]
    run(env, f"ttsi,tau=2:{folder}", tmp_path / "adapted", *more)
    done = CliRunner().invoke(app, ["probe", "calibration", str(tmp_path / "adapted")])
    assert isinstance(done.exception, BadInput)


def test_practice_never_plays_an_episode_that_is_evaluated(parrot: Any) -> None:
    """Neighbours out of the evaluation's own seeds: the answer would have been seen."""
    policy = TransformersPolicy(parrot("57"), device="cpu", max_new_tokens=8, temperature=0.0)
    seen: list[Trajectory] = []

    def make() -> gym.Env[str, str]:
        return gym.make("agentgym_si/LongHorizon-v0", task="sum-k1-t1", keys=5)

    class Watched(Practice):
        def neighbours(self, policy: Any, histories: Any) -> list[list[Neighbour]]:
            made = super().neighbours(policy, histories)
            seen.extend(one.trajectory for own in made for one in own)
            return made

    practice = Watched(make, tries=5)
    adapting = TestTimePolicy(policy, Gate(Consensus(n=1), 2.0), practice)
    played = rollout(make, adapting, episodes=3, in_flight=3)
    assert len(seen) == 15
    assert all(one.seed >= FIRST_SEED for one in seen)
    assert not {(one.task.id, one.seed) for one in seen} & {(p.task.id, p.seed) for p in played}
    firsts = {one.transitions[0].observation for one in seen}
    assert not firsts & {one.transitions[0].observation for one in played}
    assert all(one.task.id == p.task.id for one, p in zip(seen[::5], played, strict=True))
    assert all("reward" in one.labels_used and one.parent for one in seen)


def test_pooling_is_another_method_and_never_evaluated(parrot: Any, tmp_path: Path) -> None:
    """Synthetic neighbours in an evaluation split; pooling passed off as test-time adaptation."""
    config = {
        "env": "agentgym_si/Tools-v0",
        "env_options": {"max_steps": 2},
        "tasks": ["orders-l1-0000"],
        "policy": str(parrot(ORDER)),
        "method": "ttsi-pooled",
        "method_options": {"settings": {"tau": 2.0}},
        "iterations": 1,
        "in_flight": 4,
        "max_tokens": 64,
        "warm": {"seeds": 0, "steps": 0},
        "collect": {"seeds": 4, "temperature": 0.5},
        "train": {"steps": 2, "bf16": False, "imagined_share": 1.0},
        "evaluate": {"seeds": 3, "final_seeds": 2, "alpha": 1.0},
    }
    report = improve(config, folder=tmp_path / "run")
    assert report["iterations"][1]["synthesis"]["uncertain"] > 0
    stored = list(read_trajectories(tmp_path / "run"))
    made = [one for one in stored if one.world == "imagined"]
    assert made
    assert all(one.id.startswith("imagined/1/") for one in made)
    split = {"evaluate/", "final-start/", "final-end/"}
    judged = [one for one in stored if any(one.id.startswith(name) for name in split)]
    assert len(judged) == 10
    assert all(one.world == "real" for one in judged)
    said = {one.transitions[0].observation for one in judged}
    assert not said & {one.transitions[-1].observation for one in made}


def test_settings_that_are_wrong_are_refused(parrot: Any) -> None:
    """A misspelt setting that runs the defaults."""
    folder = parrot(ORDER)
    with pytest.raises(UnknownName, match="tau"):
        load_policy(f"ttsi,tao=0.5:{folder}")
    with pytest.raises(UnknownName, match="tools"):
        TTSI(preset="tool")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="signal"):
        TTSI(signal="margins")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="practice"):
        TTSIPooled(settings={"practice": "agentgym_si/Tools-v0"})
    policy = TransformersPolicy(folder, device="cpu")
    assert ttsi(policy).adapt.lora.learning_rate == 2e-3  # a model of few weights
    assert ttsi(policy, learning_rate=1e-4).adapt.lora.learning_rate == 1e-4
