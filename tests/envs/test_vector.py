"""Many environments at once: Gymnasium's vector contract, and whichever are ready first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import agentgym_si  # noqa: F401  (registers the environments)
from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.envs.vector import ThreadVectorEnv, vector_of
from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.types import Task

ID = "agentgym_si/LongHorizon-v0"


class Gated(TextEnv):
    """Waits in `act` until it is let on; "end" ends, "fail" fails, "bug" raises."""

    def __init__(self) -> None:
        super().__init__(max_steps=100)
        self.gate = threading.Event()

    def tasks(self) -> list[Task]:
        return [Task("only")]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        return f"start {rng.integers(1000)}"

    def act(self, action: str) -> Step:
        if action == "wait":
            self.gate.wait(20)
        if action == "fail":
            raise EnvFailure("broken", "it broke")
        if action == "bug":
            raise ZeroDivisionError("a bug")
        return action, float(action == "end"), action == "end"


@pytest.fixture
def vector() -> Iterator[ThreadVectorEnv]:
    made = ThreadVectorEnv([Gated] * 3)
    yield made
    made.close()


def test_make_vec_gives_what_gymnasiums_sync_vector_gives() -> None:
    ours = gym.make_vec(ID, num_envs=3, max_steps=2)
    theirs = SyncVectorEnv([lambda: gym.make(ID, max_steps=2)] * 3)
    assert isinstance(ours, ThreadVectorEnv)
    first: Any = ours.reset(seed=5)
    second: Any = theirs.reset(seed=5)
    for turn in range(6):
        assert first[0] == second[0]
        if turn:
            for mine, other in zip(first[1:4], second[1:4], strict=True):
                assert np.array_equal(mine, other) and mine.dtype == other.dtype
        assert set(first[-1]) == set(second[-1])
        actions = ("noop()", "0", "noop()")
        first, second = ours.step(actions), theirs.step(actions)
    ours.close()
    theirs.close()


def test_a_slow_environment_holds_nobody_up(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    vector.send({0: "wait", 1: "a", 2: "b"})
    assert {ready.number for ready in vector.recv(2)} == {1, 2}
    vector.send({1: "c"})
    (ready,) = vector.recv()
    assert (ready.number, ready.observation) == (1, "c")
    vector.envs[0].unwrapped.gate.set()  # type: ignore[attr-defined]
    (ready,) = vector.recv()
    assert (ready.number, ready.observation) == (0, "wait")


def test_steps_run_side_by_side(vector: ThreadVectorEnv) -> None:
    together = threading.Barrier(3)
    for env in vector.envs:
        env.unwrapped.act = lambda _: (str(together.wait(10)), 0.0, False)  # type: ignore[attr-defined]
    vector.reset(seed=1)
    observations = vector.step(("x", "x", "x"))[0]
    assert sorted(observations) == ["0", "1", "2"]


def test_the_step_after_an_end_is_a_reset(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    _, rewards, terminated, _, _ = vector.step(("end", "x", "x"))
    assert rewards.tolist() == [1, 0, 0] and terminated.tolist() == [True, False, False]
    observations, rewards, terminated, _, _ = vector.step(("end", "x", "x"))
    assert observations[0].startswith("start") and rewards[0] == 0 and not terminated[0]


def test_same_step_reset_keeps_the_last_observation() -> None:
    vector = ThreadVectorEnv([Gated] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    vector.reset(seed=1)
    observations, _, terminated, _, infos = vector.step(("end", "x"))
    assert terminated.tolist() == [True, False] and observations[0].startswith("start")
    assert infos["final_obs"][0] == "end"
    vector.close()


def test_a_failure_ends_its_own_episode_alone(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    _, rewards, terminated, truncated, infos = vector.step(("fail", "x", "x"))
    assert truncated.tolist() == [True, False, False] and not terminated.any()
    assert rewards.tolist() == [0, 0, 0]
    assert infos["failure"]["kind"][0] == "broken"


def test_a_bug_is_raised_where_it_is_received(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    vector.send({1: "bug"})
    with pytest.raises(ZeroDivisionError):
        vector.recv()
    vector.send({1: "x"})  # it can be stepped again
    assert vector.recv()[0].observation == "x"


def test_only_some_are_reset(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    before = vector.envs[0].unwrapped.episode_seed  # type: ignore[attr-defined]
    vector.reset(seed=9, options={"reset_mask": np.array([False, True, False])})
    assert vector.envs[0].unwrapped.episode_seed == before  # type: ignore[attr-defined]
    assert vector.envs[1].unwrapped.episode_seed == 10  # type: ignore[attr-defined]


def test_bad_use_is_said(vector: ThreadVectorEnv) -> None:
    vector.reset(seed=1)
    with pytest.raises(BadInput, match="3 actions"):
        vector.step(("x",))
    with pytest.raises(BadInput, match="under way"):
        vector.recv()
    with pytest.raises(BadInput, match="seeds"):
        vector.reset(seed=[1, 2])
    vector.send({0: "wait"})
    with pytest.raises(BadInput, match="wait"):
        vector.send({0: "x"})
    with pytest.raises(BadInput, match="recv"):
        vector.reset()
    vector.envs[0].unwrapped.gate.set()  # type: ignore[attr-defined]
    vector.recv()
    with pytest.raises(BadInput, match="at least one"):
        ThreadVectorEnv([])


@pytest.mark.browser
def test_pages_of_one_browser() -> None:
    vector = vector_of("agentgym_si/MiniWoB-v0", 4, task="click-test-2")
    began = time.monotonic()
    observations, _ = vector.reset(seed=[1, 1, 1, 1])
    assert len(set(observations)) == 1
    _, rewards, _, _, _ = vector.step(("click('1')", "click('2')", "noop()", "click('1')"))
    assert rewards.tolist() == [1.0, 0.0, 0.0, 1.0]
    hubs = {id(env.unwrapped._hub) for env in vector.envs}  # type: ignore[attr-defined]
    assert len(hubs) == 1 and time.monotonic() - began < 60
    vector.close()
