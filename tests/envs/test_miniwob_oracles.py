"""Every oracle earns the full reward from the text alone; doing nothing earns none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.miniwob_oracles import ORACLES
from agentgym_si.envs.web.pages import task_names

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def env() -> Iterator[MiniWoBEnv]:
    with MiniWoBEnv() as made:
        yield made


@pytest.mark.parametrize("task", sorted(ORACLES))
def test_the_oracle_solves_its_task(env: MiniWoBEnv, task: str) -> None:
    env.reset(seed=100, options={"task": task})
    reward, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.oracle())
        over = terminated or truncated
    assert reward == 1.0, env._actions


def test_doing_nothing_earns_nothing(env: MiniWoBEnv) -> None:
    for task in ("click-test", "enter-text", "stock-market"):
        env.reset(seed=1, options={"task": task})
        over, total = False, 0.0
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.noop)
            total, over = total + reward, terminated or truncated
        assert total == 0.0


def test_oracles_are_of_tasks_that_exist(env: MiniWoBEnv) -> None:
    assert set(ORACLES) <= set(task_names())
    assert len(ORACLES) >= 25
    assert env.has_oracle("click-test") and not env.has_oracle("bisect-angle")


def test_a_task_without_oracle_says_so(env: MiniWoBEnv) -> None:
    env.reset(seed=1, options={"task": "bisect-angle"})
    with pytest.raises(NotImplementedError, match="no oracle for MiniWoB task 'bisect-angle'"):
        env.oracle()
