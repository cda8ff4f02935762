"""The loop from policy to trajectories."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

import agentgym_si
from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.errors import BadInput, EnvFailure, RunStopped
from agentgym_si.policies.base import (
    ChatPolicy,
    FunctionPolicy,
    History,
    NoopPolicy,
    OraclePolicy,
    RandomPolicy,
    ReplayPolicy,
)
from agentgym_si.rollouts import Episode, play, rollout
from agentgym_si.types import Action, Task


class Copy(TextEnv):
    """Say the shown digits, one a step; "break" breaks the box."""

    instructions = "Say the digit that you see."

    def tasks(self) -> Sequence[Task]:
        return [Task("one", data={"length": 1}), Task("three", data={"length": 3})]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.digits = [str(d) for d in rng.integers(10, size=task.data["length"])]
        self.right = 0
        return self.digits[0]

    def act(self, action: str) -> Step:
        if action == "break":
            raise EnvFailure("broken", "asked to")
        if action != self.digits[self.right]:
            return "wrong", 0.0, True
        self.right += 1
        if self.right == len(self.digits):
            return "done", 1.0, True
        return self.digits[self.right], 0.0, False

    def oracle(self) -> str:
        return self.digits[self.right]

    def candidates(self) -> Sequence[str]:
        return [str(digit) for digit in range(10)]


def echo(history: History) -> str:
    return history.observation


def test_a_plain_function_plays_and_the_record_is_whole() -> None:
    (trajectory,) = rollout(Copy(task="three"), echo, episodes=1, seed=5)
    assert trajectory.solved and trajectory.seed == 5 and trajectory.task.id == "three"
    assert [t.observation for t in trajectory.transitions] == list(trajectory.actions)
    assert trajectory.final_observation == "done"
    assert [t.terminated for t in trajectory.transitions] == [False, False, True]
    assert trajectory.policy_version == "echo"
    assert trajectory.costs.calls == 3
    assert trajectory.messages()[0] == {"role": "system", "content": Copy.instructions}
    assert len(trajectory.messages()) == 7


def test_the_package_exports_rollout_and_improve_lazily() -> None:
    assert agentgym_si.rollout is rollout
    assert callable(agentgym_si.improve)
    with pytest.raises(AttributeError):
        agentgym_si.nothing  # noqa: B018


def test_many_in_flight_give_what_one_in_flight_gives() -> None:
    """A slot that leaks state, or episodes that swap seeds, would show here."""
    policy = RandomPolicy()
    alone = rollout(Copy, policy, episodes=23, seed=3)
    together = rollout(Copy, policy, episodes=23, seed=3, in_flight=7)
    assert [t.actions for t in alone] == [t.actions for t in together]
    assert [t.seed for t in together] == list(range(3, 26))


def test_random_draws_differ_between_samples_of_one_seed_and_repeat() -> None:
    episodes = [Episode(str(i), seed=0, task="one", sample=i) for i in range(30)]
    first = rollout(Copy, RandomPolicy(), episodes=episodes)
    assert len({t.actions for t in first}) > 3
    assert [t.actions for t in first] == [
        t.actions for t in rollout(Copy, RandomPolicy(), episodes=episodes)
    ]


def test_oracle_solves_and_is_labelled() -> None:
    trajectories = rollout(Copy, OraclePolicy(), episodes=10)
    assert all(t.solved and t.labels_used == ("oracle",) for t in trajectories)
    assert {step.source for t in trajectories for step in t.transitions} == {"oracle"}


def test_noop_earns_nothing() -> None:
    assert not any(t.solved for t in rollout(Copy, NoopPolicy(), episodes=10))


def test_the_oracle_is_not_given_to_a_policy_that_does_not_ask() -> None:
    seen: list[History] = []
    rollout(Copy, FunctionPolicy(lambda history: seen.append(history) or "x"), episodes=1)
    assert dict(seen[0].given) == {}


def test_chat_policy_reads_messages() -> None:
    policy = ChatPolicy(lambda messages: messages[-1]["content"])
    assert rollout(Copy, policy, episodes=1)[0].solved


def test_a_failed_box_is_recorded_and_ends_the_episode() -> None:
    broken = {1}
    policy = FunctionPolicy(
        lambda h: "break" if h.seed in broken else h.observation, version="breaks"
    )
    episodes = [Episode(str(i), seed=i, sampling_seed=i) for i in range(30)]
    trajectories = rollout(Copy, policy, episodes=episodes, in_flight=4)
    failed = [t for t in trajectories if t.failure]
    assert [t.id for t in failed] == ["1"]
    assert failed[0].failure is not None and failed[0].failure.kind == "broken"
    assert not failed[0].solved and failed[0].transitions[-1].truncated


def test_too_many_failed_boxes_stop_the_run() -> None:
    """An environment that is down must not be recorded as a policy that fails."""
    stored = []
    envs = [Copy()]
    episodes = [Episode(str(i), seed=i) for i in range(30)]
    policy = FunctionPolicy(lambda history: "break")
    with pytest.raises(RunStopped, match="failed in the box"):
        play(envs, policy, episodes, on_trajectory=stored.append)
    assert 1 <= len(stored) < 30


def test_prefix_actions_are_injected_and_the_policy_goes_on() -> None:
    (plain,) = rollout(Copy, OraclePolicy(), episodes=[Episode("a", seed=2, task="three")])
    prefix = plain.actions[:2]
    (forked,) = rollout(Copy, echo, episodes=[Episode("b", 2, "three", prefix=prefix, parent="a")])
    assert [t.source for t in forked.transitions] == ["injected", "injected", "policy"]
    assert forked.solved and forked.parent == "a" and forked.actions == plain.actions


def test_replay_plays_what_was_stored_and_says_what_was_not() -> None:
    (stored,) = rollout(Copy, OraclePolicy(), episodes=[Episode("a", seed=2, task="three")])
    policy = ReplayPolicy({("three", 2, 0): stored.actions})
    (again,) = rollout(Copy, policy, episodes=[Episode("b", seed=2, task="three")])
    assert again.actions == stored.actions and again.solved
    with pytest.raises(BadInput, match="expected a stored episode"):
        rollout(Copy, policy, episodes=[Episode("c", seed=9, task="three")])


class Waiting(Copy):
    """Steps only when another environment steps at the same moment."""

    waits = True
    barrier = threading.Barrier(2, timeout=10)

    def act(self, action: str) -> Step:
        self.barrier.wait()
        return super().act(action)


def test_environments_that_wait_are_stepped_in_threads() -> None:
    episodes = [Episode(str(i), seed=i, task="one") for i in range(4)]
    assert all(t.solved for t in rollout(Waiting, echo, episodes=episodes, in_flight=2))


@pytest.mark.parametrize("arguments", [{"episodes": 0}, {"in_flight": 0}])
def test_numbers_below_one_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        rollout(Copy, echo, **arguments)


def test_a_policy_of_the_wrong_shape_is_named() -> None:
    class Short:
        version = "short"
        needs: frozenset[str] = frozenset()

        def act(self, histories: Sequence[History], *, n: int = 1) -> list[list[Action]]:
            return []

    with pytest.raises(BadInput, match="expected policy short to return 1 lists of 1 action"):
        rollout(Copy, Short(), episodes=1)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="to return str, got int"):
        rollout(Copy, lambda history: 3, episodes=1)  # type: ignore[arg-type, return-value]
