"""What a suite is: a YAML file, shipped or the user's own.

Two kinds. One lists worlds, and any policy plays in them. The other lists worlds and `methods`, and
each method improves a policy in each world, from the same start and at equal budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from agentgym_si.bench.data import find_worlds
from agentgym_si.config import Count, CountOrNone, Settings
from agentgym_si.errors import BadInput, UnknownName

FIRST_SEED = 700_000_000
"""Seed of a suite's first problem; `improve` uses none so large."""

CONTROL = "warm-only"
"""The arm that every other is compared with, where the suite has it: the same number of updates on
the warm start's episodes alone."""

NonNegative = Annotated[float, Field(ge=0)]


class WorldSettings(Settings):
    """One row of the table: tasks of one environment."""

    env: str
    """Environment id, or module:id."""
    tasks: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = ("*",)
    """Task ids, or globs of them."""
    options: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Keyword arguments of the environment, `max_steps` among them."""
    seeds: Count = 4
    """Problems a task."""


class EpisodeSuite(Settings):
    """Worlds that a policy plays in, and how."""

    about: str = ""
    worlds: Annotated[dict[str, WorldSettings], Field(min_length=1)]
    """Rows of the table by name."""
    samples: Count = 4
    """Attempts at each problem: pass@k has an estimate for k up to this."""
    temperature: NonNegative = 0.7
    """Of a language model's sampling."""
    max_tokens: Count = 512
    """Longest action of a language model, in tokens."""
    in_flight: Count = 8
    """Environments played at the same time."""


class MethodSettings(Settings):
    """One way to improve."""

    method: str = ""
    """Method's name or `package.module:factory`; empty for the name it is listed under."""
    options: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Keyword arguments of the method."""
    config: Annotated[dict[str, Any], Field(default_factory=dict)]
    """What differs in the job's configuration, keys dotted: `train.learning_rate`."""


class MethodSuite(Settings):
    """Methods and worlds: what each gains from the same start."""

    about: str = ""
    methods: Annotated[dict[str, MethodSettings], Field(min_length=1)]
    worlds: Annotated[dict[str, dict[str, Any] | str], Field(min_length=1)]
    """Configurations of `improve` by name of the world, or what `load_config` finds them by; their
    method and seed do not count."""
    steps: Annotated[dict[str, Count], Field(default_factory=dict)]
    """World to the real steps an iteration that a method may learn from; a world that is not named
    has no such limit (its episodes are of equal length)."""
    seeds: Count = 3
    first_seed: CountOrNone = 0


Suite = EpisodeSuite | MethodSuite


def shipped() -> list[str]:
    """Return the names of the suites that come with the package."""
    folder = resources.files("agentgym_si") / "configs" / "bench"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir())


def load_suite(source: str) -> Suite:
    """Return the suite of a shipped name, a YAML file, or `data:PATH`.

    Raises BadInput for a file that is no suite, UnknownName for an unknown name or key.
    """
    if source.startswith("data:"):
        path = Path(source.removeprefix("data:"))
        return _validate({"about": f"data of {path}", "worlds": find_worlds(path)}, source)
    if source in shipped():
        file = resources.files("agentgym_si") / "configs" / "bench" / f"{source}.yaml"
        return _validate(yaml.safe_load(file.read_text("utf-8")), source)
    path = Path(source)
    if not path.is_file():
        raise UnknownName("suite", source, [*shipped(), "data:PATH", "FILE.yaml"])
    try:
        return _validate(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"expected YAML in {path}: {' '.join(str(error).split())}") from error


def _validate(data: Any, where: str) -> Suite:
    if not isinstance(data, Mapping):
        raise BadInput(f"expected keys and values in {where}, got {type(data).__name__}")
    kind: type[Suite] = MethodSuite if "methods" in data else EpisodeSuite
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = [*kind.model_fields, *WorldSettings.model_fields, *MethodSettings.model_fields]
            raise UnknownName("key", str(first["loc"][-1]), known, where=where) from error
        raise BadInput(f"{key} in {where}: {first['msg'].lower()}") from error
