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

TOOLS = "agentgym_si/Tools-v0"

ROUNDS = 2
"""Iterations; the arms part in the last."""

LOOKS = ((3, 1), (3, 2), (3, 3), (2, 2), (5, 2), (2, 1), (2, 3), (5, 1), (5, 3))
"""(candidates, depth) of the looks ahead."""

SHAPES: dict[str, dict[str, Any]] = {
    "sites": {
        "categories": 5,
        "shelves": 8,
        "words": 5,
        "queries": {"warm": 250, "train": 60, "test": 120},
        "config": {
            "env": f"webevolver_static:{STATIC}",
            "tiny": {"vocabulary": 512, "hidden": 64, "layers": 2, "heads": 2},
            "in_flight": 32,
            "max_tokens": 12,
            "warm": {"seeds": 1, "steps": 80},
            "collect": {"seeds": 1, "temperature": 1.0},
            "train": {"steps": 150, "batch_size": 16, "learning_rate": 0.003},
            "evaluate": {"seeds": 1, "final_seeds": 0, "alpha": 1.0},
        },
        "method": {"samples": 1, "shortest": True},
        "imagine": {
            "attempts": 10,
            "temperature": 1.25,
            "accept": "webevolver_world:found",
            "in_flight": 512,
        },
        "scorer": pages.on_the_way,
        "world": {
            "steps": 180,
            "batch_size": 16,
            "learning_rate": 0.003,
            "objective": False,
            "threshold": 0.5,
            "max_tokens": 96,
        },
    },
    "tools": {
        "config": {
            "env": TOOLS,
            "tiny": {"vocabulary": 512, "hidden": 64, "layers": 2, "heads": 2},
            "in_flight": 64,
            "max_tokens": 40,
            "warm": {"seeds": 1, "steps": 80},
            "collect": {"seeds": 1, "temperature": 1.0},
            "train": {"steps": 150, "batch_size": 16, "learning_rate": 0.003},
            "evaluate": {"seeds": 1, "final_seeds": 0, "alpha": 1.0},
        },
        "method": {"samples": 1, "shortest": True},
        "imagine": {
            "attempts": 10,
            "temperature": 1.25,
            "accept": "webevolver_store:told",
            "in_flight": 512,
        },
        "scorer": store.on_the_way,
        "world": {
            "steps": 180,
            "batch_size": 16,
            "learning_rate": 0.003,
            "objective": False,
            "threshold": 0.5,
            "max_tokens": 48,
        },
    },
}


def base_config(setting: str, folder: Path, seed: int) -> dict[str, Any]:
    """Return the config that all arms share; of `sites`, write the seed's site."""
    config = SHAPES[setting]["config"]
    options, ids = (site_of if setting == "sites" else store_of)(folder, seed)
    return {
        **config,
        "seed": seed,
        "policy": "tiny",
        "iterations": ROUNDS,
        "env_options": options,
        "tasks": ids["train"],
        "warm": config["warm"] | {"tasks": ids["warm"]},
        "evaluate": config["evaluate"] | {"tasks": ids["test"]},
    }


def site_of(folder: Path, seed: int) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Write the seed's site; return the environment's options, and the ids of the parts' tasks."""
    shape = SHAPES["sites"]
    counts = shape["queries"]
    sizes = (shape["categories"], shape["shelves"], shape["words"])
    world = pages.draw_world(seed, *sizes, nicknames=counts["warm"])
    queries = pages.draw_queries(world, seed, counts["train"], counts["test"])
    parts = dict(zip(counts, queries, strict=True))
    site = pages.write_site(folder / "site", world, parts)
    ids = {name: pages.task_ids(name, len(part)) for name, part in parts.items()}
    return {"sites": str(site), "max_steps": 4}, ids


def store_of(folder: Path, seed: int) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the same of the seed's store."""
    return {"domains": [f"webevolver_store:seed_{seed}"], "max_steps": 3}, store.task_ids()


def arms_of(shape: Mapping[str, Any], rows: int) -> dict[str, Arm]:
    """Return the arms; `rows` are those that `we` added in its last iteration."""
    real = shape["method"]
    imagine = {**real, **shape["imagine"], "world": shape["world"], "first_iteration": ROUNDS}

    def evolver(**changes: Any) -> Arm:
        return "webevolver", {**imagine, **changes}

    return {
        "we": evolver(),
        "si": ("rft", real),
        "upsampled": ("upsampled", {**real, "rows": rows}),
        "shuffled": evolver(noise=1.0),
        "always": evolver(accept="always", attempts=2),
        "noise-0.2": evolver(noise=0.2),
        "noise-0.5": evolver(noise=0.5),
    }
