"""The fault guarded: a method we override that TRL has renamed, so that nothing calls ours."""

from __future__ import annotations

import inspect
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from packaging.requirements import Requirement

from agentgym_si.training import dpo, grpo, kto, sft

pytestmark = pytest.mark.train

TRAINERS = (
    sft._WeightedTrainer,
    dpo._PairTrainer,
    kto._RowTrainer,
    grpo._EpisodeTrainer,
)
OURS = {"_scores"}
"""Methods that are new."""


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.__name__)
def test_what_is_overridden_is_there_to_override(trainer: Any) -> None:
    base = trainer.__mro__[2]
    assert base.__module__.startswith("trl.")
    own = {name: value for name, value in vars(trainer).items() if inspect.isfunction(value)}
    assert {"get_batch_samples", "compute_loss"} <= own.keys()
    for name in own.keys() - OURS - {"__init__"}:
        theirs = getattr(base, name)
        taken = len(inspect.signature(theirs).parameters)
        flexible = any(
            p.kind is p.VAR_POSITIONAL for p in inspect.signature(own[name]).parameters.values()
        )
        assert flexible or len(inspect.signature(own[name]).parameters) == taken, name


@pytest.mark.parametrize("package", ["trl", "transformers", "peft"])
def test_the_installed_version_is_in_the_pinned_range(package: str) -> None:
    root = Path(__file__).parent.parent.parent
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pins = map(Requirement, extras["optional-dependencies"]["train"])
    (pin,) = (pin for pin in pins if pin.name == package)
    assert metadata.version(package) in pin.specifier
