"""The settings of E2: worlds, sizes, arms; fixed before its seeds were run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import webevolver_store as store
import webevolver_world as pages
from webevolver_static import ENV as STATIC

Arm = tuple[str, dict[str, Any]]
"""A method's name and options."""

SITES = "agentgym_si/Sites-v0"

ROUNDS = 2
"""Iterations; the arms part in the last."""

LOOKS = ((3, 1), (3, 2), (3, 3), (2, 2), (5, 2), (2, 1), (2, 3), (5, 1), (5, 3))
"""(candidates, depth) of the looks ahead."""

Place = tuple[dict[str, Any], dict[str, list[str]]]
"""Options of the environment, and the ids of its tasks by part."""


def site_of(folder: Path, seed: int) -> Place:
    """Write the seed's site into the folder."""
    counts = pages.QUERIES
    world = pages.draw_world(seed, *pages.SIZES, nicknames=counts["warm"])
    queries = pages.draw_queries(world, seed, counts["train"], counts["test"])
    parts = dict(zip(counts, queries, strict=True))
    site = pages.write_site(folder / "site", world, parts)
    ids = {name: pages.task_ids(name, len(part)) for name, part in parts.items()}
    return {"sites": str(site), "max_steps": 4}, ids


def store_of(folder: Path, seed: int) -> Place:
    """Return the seed's store, which needs no folder."""
    return {"domains": [f"webevolver_store:seed_{seed}"], "max_steps": 3}, store.task_ids()


SHAPES: dict[str, dict[str, Any]] = {
    "sites": {
        "place": site_of,
        "config": {"env": f"webevolver_static:{STATIC}", "in_flight": 32, "max_tokens": 12},
        "accept": "webevolver_world:found",
        "scorer": pages.on_the_way,
        "longest": 96,
    },
    "tools": {
        "place": store_of,
        "config": {"env": "agentgym_si/Tools-v0", "in_flight": 64, "max_tokens": 40},
        "accept": "webevolver_store:told",
        "scorer": store.on_the_way,
        "longest": 48,
    },
}
"""What differs between the settings; `longest` is of the world model's predictions, in tokens."""

METHOD = {"samples": 1, "shortest": True}


def base_config(setting: str, folder: Path, seed: int) -> dict[str, Any]:
    """Return the config that all arms share; what it needs on disk is written into the folder."""
    shape = SHAPES[setting]
    options, ids = shape["place"](folder, seed)
    return {
        **shape["config"],
        "tiny": {"vocabulary": 512, "hidden": 64, "layers": 2, "heads": 2},
        "seed": seed,
        "policy": "tiny",
        "iterations": ROUNDS,
        "env_options": options,
        "tasks": ids["train"],
        "warm": {"seeds": 1, "steps": 80, "tasks": ids["warm"]},
        "collect": {"seeds": 1, "temperature": 1.0},
        "train": {"steps": 150, "batch_size": 16, "learning_rate": 0.003},
        "evaluate": {"seeds": 1, "final_seeds": 0, "alpha": 1.0, "tasks": ids["test"]},
    }


def arms_of(shape: Mapping[str, Any], rows: int) -> dict[str, Arm]:
    """Return the arms; `rows` are those that `we` added in its last iteration."""
    imagine = {
        **METHOD,
        "attempts": 10,
        "temperature": 1.25,
        "accept": shape["accept"],
        "in_flight": 512,
        "first_iteration": ROUNDS,
        "world": {
            "steps": 180,
            "batch_size": 16,
            "learning_rate": 0.003,
            "objective": False,
            "threshold": 0.5,
            "max_tokens": shape["longest"],
        },
    }

    def evolver(**changes: Any) -> Arm:
        return "webevolver", {**imagine, **changes}

    return {
        "we": evolver(),
        "si": ("rft", METHOD),
        "upsampled": ("upsampled", {**METHOD, "rows": rows}),
        "shuffled": evolver(noise=1.0),
        "always": evolver(accept="always", attempts=2),
        "noise-0.2": evolver(noise=0.2),
        "noise-0.5": evolver(noise=0.5),
    }
