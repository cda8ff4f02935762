"""The id of imagined environments: what is asked for by name runs in a stored world model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import agentgym_si
from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import BadInput
from agentgym_si.specs import make_env
from agentgym_si.store import read_trajectories
from agentgym_si.types import Trajectory

pytestmark = pytest.mark.train

IMAGINED = "agentgym_si.worldmodel.registered:agentgym_si/Imagined-v0"


@pytest.fixture
def house(make_house: Callable[[], TextEnv]) -> Iterator[str]:
    """The house under an id."""
    gym.register("tests/House-v0", entry_point=make_house)  # type: ignore[arg-type]
    yield "tests/House-v0"
    del gym.registry["tests/House-v0"]


@pytest.fixture(scope="module")
def walker(
    learned: Path, walks: list[Trajectory], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A policy that walks as the walks do."""
    from agentgym_si.policies.tokens import ChatTokens
    from agentgym_si.training.rows import to_rows
    from agentgym_si.training.sft import SFTSettings, train_sft

    out, tokens = tmp_path_factory.mktemp("walker") / "policy", ChatTokens.load(learned)
    short = [replace(t, transitions=t.transitions[:2]) for t in walks]
    rows = [row for trajectory in short for row in to_rows(trajectory, tokens)]
    settings = SFTSettings(steps=30, batch_size=16, learning_rate=4e-3, bf16=False, device="cpu")
    train_sft(learned.parent / "start", rows, out, settings)
    return out


def test_improve_runs_in_it_as_in_any_environment(
    learned: Path, walker: Path, house: str, tmp_path: Path
) -> None:
    """Episodes that pass for real, or a run that stops where no row is."""
    config: dict[str, Any] = {
        "env": IMAGINED,
        "env_options": {
            "real": house,
            "world_model": str(learned),
            "max_new_tokens": 64,
            "max_steps": 2,
        },
        "tasks": ["reach-kitchen", "reach-hall"],
        "policy": str(walker),
        "max_tokens": 12,
        "warm": {"seeds": 0},
        "collect": {"seeds": 6, "temperature": 1.0},
        "train": {"steps": 2, "batch_size": 4, "imagined_share": 1.0},
        "evaluate": {"seeds": 3, "final_seeds": 0, "alpha": 1.0},
        "method_options": {"threshold": 0.0},
        "iterations": 1,
    }
    report = agentgym_si.improve(config, folder=tmp_path / "run")
    played = list(read_trajectories(tmp_path / "run"))
    assert len(played) == 2 * 6 + 2 * 2 * 3
    assert {t.world for t in played} == {"imagined"} and {t.env_id for t in played} == {house}
    entry = report["iterations"][1]
    assert entry["rows"] == entry["imagined_rows"] > 0 and entry["imagined_share"] == 1.0
    assert (report["cost"]["episodes"], report["cost"]["steps"]) == (0, 0)
    with pytest.raises(BadInput, match="imagined_share"):
        agentgym_si.improve(config | {"train": {"steps": 2}}, folder=tmp_path / "other")


def test_environments_of_one_world_model_share_its_calls(learned: Path, house: str) -> None:
    """A model loaded for each environment would be asked for each alone."""
    options = {"real": house, "world_model": learned}
    one, two = (make_env(IMAGINED, **options).unwrapped for _ in range(2))
    assert one.world_model is two.world_model  # type: ignore[attr-defined]
    one.close()
    two.close()


def test_what_is_not_told_is_asked_for(house: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected options real"):
        make_env(IMAGINED, real=house)
    with pytest.raises(BadInput, match="world_model"):
        make_env(IMAGINED, real=house, world_model=tmp_path)
