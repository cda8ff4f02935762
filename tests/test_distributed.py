"""Environments in Ray's workers: the same result as without, also where a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import yaml

pytest.importorskip("ray")

import ray

from agentgym_si.config import load_config
from agentgym_si.distributed import RayWorkers, RemoteEnv
from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.improving import env_maker, improve
from agentgym_si.policies.base import FunctionPolicy, OraclePolicy, Policy, RandomPolicy
from agentgym_si.rollouts import Episode, play
from agentgym_si.store import Run, read_trajectories
from agentgym_si.types import Costs, Task, Trajectory


class Digits(TextEnv):
    """Say the digits that are shown; the tools change with the task, "break" breaks the box."""

    instructions = "Say the digit that you see."

    def tasks(self) -> Sequence[Task]:
        return [Task("two", data={"length": 2}), Task("five", data={"length": 5})]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.tools = ({"name": task.id},)
        self.digits = [str(digit) for digit in rng.integers(10, size=task.data["length"])]
        return self.digits[0]

    def act(self, action: str) -> Step:
        if action == "break":
            raise EnvFailure("broken", "asked to")
        if action == "bug":
            raise RuntimeError("a bug in the environment")
        right = action == self.digits.pop(0)
        over = not self.digits or not right
        return ("over" if over else self.digits[0]), float(right and over), over

    def oracle(self) -> str:
        return self.digits[0]

    def candidates(self) -> Sequence[str]:
        return [self.digits[0], "7"]

    def feedback(self, action: str) -> str:
        return "fine" if action == self.digits[0] else f"say {self.digits[0]}"


ray.cloudpickle.register_pickle_by_value(  # type: ignore[no-untyped-call]
    sys.modules[__name__]  # no worker can import a test
)
SPEC = gym.envs.registration.EnvSpec("test/Digits-v0", entry_point=cast(Any, Digits))


@pytest.fixture(scope="module")
def workers() -> Iterator[RayWorkers]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of its own future
        held = RayWorkers(workers=2)
    with held:
        yield held


def episodes(count: int = 12) -> list[Episode]:
    return [Episode(f"e/{i}", i, ("two", "five")[i % 2], sampling_seed=i) for i in range(count)]


def without_seconds(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    return [
        replace(t, costs=Costs(tokens=t.costs.tokens, calls=t.costs.calls)) for t in trajectories
    ]


def here(policy: Policy, todo: Sequence[Episode], in_flight: int = 4) -> list[Trajectory]:
    with ExitStack() as stack:
        envs = [stack.enter_context(gym.make(SPEC)) for _ in range(in_flight)]
        return without_seconds(play(envs, policy, todo))


@pytest.mark.parametrize(
    "policy",
    [
        RandomPolicy(),
        OraclePolicy(),
        FunctionPolicy(lambda h: "break" if h.seed == 3 else h.observation, version="breaks"),
    ],
    ids=["random", "oracle", "breaks"],
)
def test_what_comes_out_is_the_same_as_without_ray(workers: RayWorkers, policy: Policy) -> None:
    """Seeds, tools or failures that change on the way to a worker and back."""
    todo = [*episodes(), Episode("forked", 5, "five", prefix=("1",), sampling_seed=9)]
    with ExitStack() as stack:
        envs = [stack.enter_context(workers.make(SPEC)) for _ in range(4)]
        played = without_seconds(play(envs, policy, todo))
    assert played == here(policy, todo)
    assert {t.tools[0]["name"] for t in played} == {"two", "five"}
    assert sum(t.failure is not None for t in played) == (policy.version == "breaks")


def test_a_killed_workers_episodes_are_played_again(workers: RayWorkers, tmp_path: Path) -> None:
    """Episodes that are lost with their worker, or stored twice."""
    asked: list[int] = []

    def say(history: object) -> str:
        asked.append(1)
        if len(asked) in (9, 30):
            os.kill(workers.processes()[0], signal.SIGKILL)
        return history.observation  # type: ignore[attr-defined,no-any-return]

    todo = episodes(16)
    with ExitStack() as stack:
        envs = [stack.enter_context(workers.make(SPEC)) for _ in range(4)]
        run = stack.enter_context(Run(tmp_path / "run", {}))
        play(envs, FunctionPolicy(say, version="say"), todo, on_trajectory=run.append)
    calls = len(asked)
    stored = {t.id: t for t in without_seconds(list(read_trajectories(tmp_path / "run")))}
    asked[:] = [0] * 1000  # no kills from here on
    alone = here(FunctionPolicy(say, version="say"), todo)
    assert stored == {t.id: t for t in alone} and all(t.solved for t in alone)
    assert calls == sum(len(t.transitions) for t in alone)


def test_a_bug_raises_and_a_refusal_is_the_same_error(workers: RayWorkers) -> None:
    """A bug that is recorded as a failed box, or a wrong task that looks like a bug."""
    with workers.make(SPEC) as env:
        with pytest.raises(BadInput, match="unknown task 'six' in Digits; known: five, two"):
            env.reset(options={"task": "six"})
        env.reset(seed=1)
        with pytest.raises(RuntimeError, match="a bug in the environment"):
            env.step("bug")
        with pytest.raises(AttributeError, match="has no 'nothing'"):
            env.unwrapped.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_what_an_environment_offers_beyond_steps_is_reached(workers: RayWorkers) -> None:
    with workers.make(SPEC) as env:
        assert isinstance(env, RemoteEnv) and env.unwrapped is env
        first, _ = env.reset(seed=1, options={"task": "five"})
        assert env.feedback("x") == f"say {first}" and env.feedback(first) == "fine"
        env.step(first)
        state = env.snapshot()
        went_on = env.step("7")
        os.kill(workers.processes()[env._number % 2], signal.SIGKILL)
        assert env.restore(state) == state.observation
        os.kill(workers.processes()[env._number % 2], signal.SIGKILL)
        assert env.step("7")[:-1] == went_on[:-1]


def test_a_world_that_comes_out_different_is_a_failed_box(workers: RayWorkers) -> None:
    """An episode that goes on in another world than it began in."""
    with workers.make(SPEC) as env:
        env.reset(seed=1, options={"task": "five"})
        env._done[0].gave = ("something else",)
        os.kill(workers.processes()[env._number % 2], signal.SIGKILL)
        _, reward, terminated, truncated, info = env.step("1")
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["failure"]["kind"] == "worker"
        observation, info = env.reset(seed=2)
        assert observation and "failure" not in info


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 worker"):
        RayWorkers(workers=0)


@pytest.mark.train
def test_improve_plays_in_workers_what_it_plays_here(tmp_path: Path) -> None:
    """A run whose result depends on where its environments are; a flag that reaches no worker."""
    job = {
        "env": "agentgym_si/LongHorizon-v0",
        "env_options": {"keys": 4},
        "tasks": ["sum-k1-t1"],
        "tiny": {"vocabulary": 300, "hidden": 32, "layers": 1, "heads": 2},
        "iterations": 0,
        "in_flight": 4,
        "warm": {"seeds": 6, "steps": 3},
        "evaluate": {"seeds": 6, "final_seeds": 0},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    reports = [improve(load_config(job), folder=tmp_path / "here")]
    command = ["improve", str(tmp_path / "job.yaml"), "--out", str(tmp_path / "there"), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command, "--ray", "local", "--ray-workers", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reports.append(json.loads(done.stdout))
    assert reports[0]["iterations"] == reports[1]["iterations"]
    played = [
        without_seconds(list(read_trajectories(tmp_path / name))) for name in ("here", "there")
    ]
    assert len(played[1]) == 12
    assert sorted(played[0], key=by_id) == sorted(played[1], key=by_id)


MAIN = "from agentgym_si.cli import main; main()"


def by_id(trajectory: Trajectory) -> str:
    return trajectory.id


def test_more_workers_than_processors_are_said(
    workers: RayWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    """A command that waits for ever and says nothing."""
    RayWorkers(workers=len(workers.workers) + 1).close()
    assert "3 workers asked for, 2 processors in the cluster" in caplog.text


def test_workers_without_an_address_are_refused() -> None:
    """`--ray-workers 8` that changes nothing."""
    with ExitStack() as stack, pytest.raises(BadInput, match="expected an address of Ray"):
        env_maker(None, 8, stack)
