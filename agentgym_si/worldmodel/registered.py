"""`agentgym_si/Imagined-v0`: a stored world model in the place of a registered environment's world.

Importing this module registers the id; where an id is asked for, the two together are one:

    env: agentgym_si.worldmodel.registered:agentgym_si/Imagined-v0
    env_options: {real: agentgym_si/LongHorizon-v0, world_model: runs/a/synthesis/world-1, keys: 3}

A run in it is wholly imagined: its successes are the world model's word, its rows are marked, and
the loop learns from them only where `train.imagined_share` is 1.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import gymnasium as gym

from agentgym_si.errors import BadInput
from agentgym_si.worldmodel.imagined import ImaginedEnv, Imagining
from agentgym_si.worldmodel.language import LanguageWorldModel
from agentgym_si.worldmodel.teaching import load_world_model

ENV = "agentgym_si/Imagined-v0"


def imagined(
    real: str = "",
    world_model: str | Path = "",
    *,
    horizon: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    max_new_tokens: int = 512,
    **options: Any,
) -> ImaginedEnv:
    """Return a registered environment with a stored world model as its world.

    Environments made with the same world model share it, and so its calls.

    Args:
        real: the environment's id.
        world_model: a folder of `train_world_model`, or a run's `synthesis/world-1`.
        horizon: see `Imagining`, as are temperature and seed.
        temperature: of predictions; None for 0.
        seed: of the world's chance.
        max_new_tokens: the longest prediction.
        options: of the real environment.

    Raises BadInput where either is missing, or `world_model` holds none.
    """
    if not real or not world_model:
        raise BadInput(
            f"expected options real (an id) and world_model (a folder) of {ENV}, got {real!r} and "
            f"{str(world_model)!r}"
        )
    made = gym.make(real, disable_env_checker=True, **options)
    model = _load(str(Path(world_model).absolute()), max_new_tokens)
    return ImaginedEnv(made, model, Imagining(horizon, temperature, seed))


@functools.lru_cache(maxsize=2)
def _load(folder: str, max_new_tokens: int) -> LanguageWorldModel:
    return load_world_model(folder, max_new_tokens=max_new_tokens)


gym.register(ENV, entry_point=f"{__name__}:imagined")
