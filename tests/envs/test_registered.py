"""Guards every registered environment at once: the contract, and many instances together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si.envs import ENTRY_POINTS
from agentgym_si.needs import missing_needs
from agentgym_si.testing import check_env


def _param(env_id: str) -> object:
    if "MiniWoB" in env_id:
        return pytest.param(env_id, marks=pytest.mark.browser)
    missing = missing_needs(env_id)[1]
    return pytest.param(env_id, marks=pytest.mark.skipif(bool(missing), reason=missing))


ENV_IDS = [_param(env_id) for env_id in ENTRY_POINTS]


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_every_registered_environment_keeps_the_contract(env_id: str) -> None:
    """An environment of our own that would not pass what we ask of a user's."""
    check_env(env_id, processes=True)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_twenty_interleaved_environments_equal_twenty_solo_ones(env_id: str) -> None:
    """State that instances share, which only shows when many are open at once."""

    def play(env: gym.Env[str, str], seed: int) -> Iterator[Any]:
        world: Any = env.unwrapped
        rng = np.random.default_rng(seed)
        yield env.reset(seed=seed)
        for _ in range(3):
            candidates = list(world.candidates()) or [world.noop]
            result = env.step(candidates[int(rng.integers(len(candidates)))])
            yield result
            if result[2] or result[3]:
                return

    solo = []
    with_one: gym.Env[str, str] = gym.make(env_id)
    for seed in range(20):
        solo.append(list(play(with_one, seed)))
    envs: list[gym.Env[str, str]] = [gym.make(env_id) for _ in range(20)]
    players = [play(env, seed) for seed, env in enumerate(envs)]
    together: list[list[Any]] = [[] for _ in players]
    for _ in range(4):
        for record, player in zip(together, players, strict=True):
            record.extend(result for result in [next(player, None)] if result is not None)
    for env in (with_one, *envs):
        env.close()
    assert together == solo
