"""Every MiniWoB task: the same seed and actions are the same episode, alone and beside others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.web.pages import task_names

pytestmark = pytest.mark.browser

SEED = 3
STEPS = 4
TOGETHER = 4


@pytest.fixture(scope="module")
def env() -> Iterator[MiniWoBEnv]:
    with MiniWoBEnv() as made:
        yield made


def begin(env: MiniWoBEnv, task: str) -> object:
    observation, info = env.reset(seed=SEED, options={"task": task})
    assert "failure" not in info, (task, info)
    return observation, info


def draw(env: MiniWoBEnv, task: str) -> tuple[list[str], list[object]]:
    """Play legal actions drawn by chance; return them, and all that came back."""
    rng = np.random.default_rng(SEED)
    actions: list[str] = []
    results = [begin(env, task)]
    while len(actions) < STEPS:
        legal = env.candidates()
        actions.append(legal[int(rng.integers(len(legal)))])
        *told, info = env.step(actions[-1])
        assert "failure" not in info, (task, actions, info)
        results.append((told, info))
        if told[2] or told[3]:
            break
    return actions, results


def again(env: MiniWoBEnv, task: str, actions: list[str]) -> list[object]:
    """Play the same actions; return all that came back."""
    results = [begin(env, task)]
    for action in actions:
        *told, info = env.step(action)
        results.append((told, info))
    return results


def test_every_task_is_the_same_episode_again_and_beside_others(env: MiniWoBEnv) -> None:
    first = {task: draw(env, task) for task in task_names()}

    def play(nth: int) -> list[str]:
        """Return the tasks, of each fourth one, that came out different."""
        different = []
        with MiniWoBEnv() as other:
            for task, (actions, results) in list(first.items())[nth::TOGETHER]:
                if again(other, task, actions) != results:
                    different.append(task)
        return different

    with ThreadPoolExecutor(TOGETHER) as pool:
        assert [task for different in pool.map(play, range(TOGETHER)) for task in different] == []
