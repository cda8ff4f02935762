"""Guards `TextEnv`: seeds, tasks, limits, the three kinds of failure, snapshots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si.envs.base import MAX_ACTION_CHARACTERS, Step, TextEnv, valid_text
from agentgym_si.errors import ActionError, BadInput, EnvFailure, RestoreMismatch, UnknownName
from agentgym_si.types import Task


class Safe(TextEnv):
    """A safe that opens to the digits it shows; it may be broken, and counts its openings."""

    instructions = "Say the digits shown, one at a time."
    default_max_steps = 6

    def tasks(self) -> Sequence[Task]:
        return [
            Task("safe-1", data={"digits": 1}),
            Task("safe-2", data={"digits": 2}),
            Task("vault-3", data={"digits": 3}, split="test", solution=("1", "2", "3")),
        ]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.digits = [str(digit) for digit in rng.integers(10, size=task.data["digits"])]
        self.said = 0
        return "digits: " + " ".join(self.digits)

    def act(self, action: str) -> Step:
        if action == "crash":
            raise EnvFailure("crash", "the lock is jammed")
        if action == "bug":
            raise KeyError("a bug of this environment")
        if action == self.noop:
            return "nothing", 0.0, False
        if action != self.digits[self.said]:
            raise ActionError(f"{action} is wrong")
        self.said += 1
        opened = self.said == len(self.digits)
        return "open" if opened else "click", float(opened), opened

    def step_info(self) -> Mapping[str, Any]:
        return {"said": self.said}


def solve(env: Safe) -> list[tuple[str, float, bool, bool, dict[str, Any]]]:
    return [env.step(digit) for digit in env.digits]


def test_an_episode_runs_from_reset_to_its_reward() -> None:
    """The plain case, every value of it."""
    env = Safe("safe-2")
    observation, info = env.reset(seed=3)
    assert observation == "digits: " + " ".join(env.digits)
    assert info == {"task": "safe-2", "seed": 3, "said": 0}
    assert solve(env) == [
        ("click", 0.0, False, False, {"task": "safe-2", "seed": 3, "said": 1}),
        ("open", 1.0, True, False, {"task": "safe-2", "seed": 3, "said": 2}),
    ]
    assert env.current_task.id == "safe-2"
    assert env.episode_seed == 3


def test_the_task_is_part_of_what_a_seed_draws() -> None:
    """reset(seed=7) that gives another task the second time."""
    env = Safe()
    drawn = [env.reset(seed=seed) for seed in range(20)]
    assert [env.reset(seed=seed) for seed in range(20)] == drawn
    assert {info["task"] for _, info in drawn} == {"safe-1", "safe-2", "vault-3"}


def test_the_world_depends_on_seed_and_task_not_on_how_the_task_was_chosen() -> None:
    """A task named in the options that is another episode than the same task drawn."""
    env = Safe()
    for seed in range(10):
        observation, info = env.reset(seed=seed)
        again = env.reset(seed=seed, options={"task": info["task"]})
        assert again == (observation, info)


def test_unseeded_resets_go_on_from_the_seed() -> None:
    """Training runs that differ although everything was seeded."""
    env = Safe()
    runs = []
    for _ in range(2):
        env.reset(seed=1)
        runs.append([env.reset() for _ in range(5)])
    assert runs[0] == runs[1]
    assert len({info["seed"] for _, info in runs[0]}) == 5


@pytest.mark.parametrize(
    ("pattern", "split", "ids"),
    [
        (None, None, ["safe-1", "safe-2", "vault-3"]),
        ("safe-2", None, ["safe-2"]),
        ("safe-*", None, ["safe-1", "safe-2"]),
        (None, "test", ["vault-3"]),
        ("*-3", "test", ["vault-3"]),
    ],
)
def test_tasks_are_chosen_by_id_glob_and_split(
    pattern: str | None, split: str | None, ids: list[str]
) -> None:
    """Episodes of tasks that were not asked for."""
    env = Safe(pattern, split=split)
    assert env.task_ids == ids
    assert {env.reset(seed=seed)[1]["task"] for seed in range(40)} == set(ids)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "safe-4"}, "unknown task 'safe-4' in Safe; did you mean safe-"),
        ({"task": "x*"}, "unknown task 'x\\*' in Safe"),
        ({"task": "safe-1", "split": "test"}, "unknown task 'safe-1' in Safe"),
        ({"split": "tset"}, "unknown split 'tset' in Safe; did you mean test"),
        ({"render_mode": "human"}, "unknown render mode 'human' in Safe"),
    ],
)
def test_unknown_names_are_refused_when_made(arguments: dict[str, str], message: str) -> None:
    """An environment without tasks, found at the first reset of a long run."""
    with pytest.raises(UnknownName, match=message):
        Safe(**arguments)


@pytest.mark.parametrize("max_steps", [0, -1])
def test_a_limit_below_one_is_refused(max_steps: int) -> None:
    """A negative budget that means no limit."""
    with pytest.raises(BadInput, match="expected max_steps of at least 1"):
        Safe(max_steps=max_steps)


@pytest.mark.parametrize("options", [{"tsak": "safe-1"}, {"task": "safe-9"}])
def test_unknown_reset_options_are_refused(options: dict[str, str]) -> None:
    """A mistyped option that silently draws a random task."""
    with pytest.raises(UnknownName):
        Safe().reset(options=options)


def test_truncation_comes_at_the_limit_and_not_with_termination() -> None:
    """An episode solved with its last step that also counts as cut off."""
    env = Safe("safe-1", max_steps=2)
    env.reset(seed=0)
    assert env.step("noop()")[2:4] == (False, False)
    assert env.step(env.digits[0])[2:4] == (True, False)
    env.reset(seed=0)
    assert [env.step("noop()")[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_the_limit_may_depend_on_the_task() -> None:
    """A long task that is cut off at the short one's limit."""

    class Timed(Safe):
        def step_limit(self, task: Task) -> int:
            return int(task.data["digits"])

    env = Timed()
    limits = {
        env.reset(seed=0, options={"task": task})[1]["task"]: env.max_steps for task in env.task_ids
    }
    assert limits == {"safe-1": 1, "safe-2": 2, "vault-3": 3}
    fixed = Timed(max_steps=5)
    fixed.reset(seed=0)
    assert fixed.max_steps == 5


@pytest.mark.parametrize("played", [False, True])
def test_a_step_outside_an_episode_raises(played: bool) -> None:
    """Steps after the end that go on earning."""
    env = Safe("safe-1")
    if played:
        env.reset(seed=0)
        solve(env)
    with pytest.raises(gym.error.ResetNeeded):
        env.step("noop()")


def test_the_agents_mistake_is_an_observation() -> None:
    """A wrong action that ends the run, or goes unsaid."""
    env = Safe("safe-1")
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step("x")
    assert (observation, reward, terminated, truncated) == ("error: x is wrong", 0.0, False, False)
    assert info["action_error"] == "x is wrong"
    assert "failure" not in info
    assert "action_error" not in env.step("noop()")[4]


def test_a_megabyte_of_noise_is_a_mistake_with_a_short_answer() -> None:
    """A world that parses what cannot be meant, or a page that repeats it."""
    env = Safe("safe-1")
    env.reset(seed=0)
    observation = env.step("x" * (MAX_ACTION_CHARACTERS + 1))[0]
    assert observation == "error: expected at most 1048576 characters, got 1048577"
    assert len(env.step("x" * MAX_ACTION_CHARACTERS)[0]) < 400


def test_an_action_that_is_no_text_is_the_callers_mistake() -> None:
    """A policy that returns None, blamed on the agent."""
    env = Safe("safe-1")
    env.reset(seed=0)
    with pytest.raises(BadInput, match="expected an action of type str, got int"):
        env.step(3)  # type: ignore[arg-type]


def test_a_failed_box_truncates_with_its_kind() -> None:
    """A dead browser counted as a bad action."""
    env = Safe("safe-1")
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step("crash")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["failure"] == {"kind": "crash", "message": "the lock is jammed"}
    with pytest.raises(gym.error.ResetNeeded):
        env.step("noop()")


def test_a_box_that_fails_at_reset_says_so_there() -> None:
    """A browser that does not start, found as an exception in the middle of a run."""

    class Jammed(Safe):
        def start(self, task: Task, rng: np.random.Generator) -> str:
            raise EnvFailure("launch", "no lock")

    env = Jammed("safe-1")
    observation, info = env.reset(seed=0)
    assert observation == ""
    assert info == {
        "task": "safe-1",
        "seed": 0,
        "failure": {"kind": "launch", "message": "no lock"},
    }
    with pytest.raises(gym.error.ResetNeeded):
        env.step("noop()")


def test_a_bug_is_raised() -> None:
    """A mistake in the environment's own code that agents are punished for."""
    env = Safe("safe-1")
    env.reset(seed=0)
    with pytest.raises(KeyError, match="a bug of this environment"):
        env.step("bug")


def test_a_snapshot_leads_back_to_mid_play() -> None:
    """A fork that starts elsewhere than where it was taken."""
    env, other = Safe("vault-3"), Safe("vault-3")
    observation, _ = env.reset(seed=5)
    for digit in env.digits[:2]:
        observation = env.step(digit)[0]
    state = env.snapshot()
    json.dumps(state)
    ended = env.step(env.digits[2])
    for again in (env, other):
        assert again.restore(state) == observation
        assert again.step(again.digits[2]) == ended


def test_a_snapshot_needs_a_running_episode() -> None:
    """A snapshot of an episode that is over, which nothing can go on from."""
    env = Safe("safe-1")
    with pytest.raises(BadInput, match="mid-play"):
        env.snapshot()
    env.reset(seed=0)
    solve(env)
    with pytest.raises(BadInput, match="mid-play"):
        env.snapshot()


def test_a_restore_that_comes_out_different_is_refused() -> None:
    """Imagined alternatives to a state that never was."""
    env = Safe("safe-2")
    env.reset(seed=0)
    state = env.snapshot()
    with pytest.raises(RestoreMismatch, match="expected observation 'another page'"):
        env.restore(state._replace(observation="another page"))
    with pytest.raises(RestoreMismatch):
        env.restore(state._replace(actions=tuple(env.digits)))


def test_a_box_that_fails_during_restore_raises_its_failure() -> None:
    """A dead browser taken for a world that is not deterministic."""
    env = Safe("safe-2")
    env.reset(seed=0)
    state = env.snapshot()._replace(actions=("crash",))
    with pytest.raises(EnvFailure, match="crash: the lock is jammed"):
        env.restore(state)


def test_the_oracle_of_a_fixed_solution() -> None:
    """An oracle that plays the second action first, or claims tasks it does not know."""
    env = Safe("vault-3")
    env.reset(seed=0)
    said = []
    for _ in range(3):
        said.append(env.oracle())
        env.step("noop()")
    assert said == ["1", "2", "3"]
    with pytest.raises(NotImplementedError, match="Safe has no oracle for this state"):
        env.oracle()
    assert [env.has_oracle(task) for task in env.all_tasks] == [False, False, True]


def test_the_task_is_unknown_before_reset() -> None:
    """An AttributeError of None deep inside a policy."""
    with pytest.raises(BadInput, match="before the task is asked for"):
        _ = Safe().current_task


def test_rendering_shows_the_last_observation() -> None:
    """A blank screen in a demonstration."""
    env = Safe("safe-1", render_mode="ansi")
    observation, _ = env.reset(seed=0)
    assert env.render() == observation
    env.step("noop()")
    assert env.render() == "nothing"
    assert Safe("safe-1").render() is None


def test_environment_seconds_add_up() -> None:
    """Model latency counted against the environment, or no time at all."""
    env = Safe("safe-1")
    env.reset(seed=0)
    first = env.env_seconds
    env.step("noop()")
    assert 0.0 < first < env.env_seconds < 1.0


@pytest.mark.parametrize(
    ("text", "expected"), [("a\ud800b", "a\ufffdb"), ("é🤖\u2028", "é🤖\u2028"), ("", "")]
)
def test_observations_are_text_that_files_and_tokenizers_take(text: str, expected: str) -> None:
    """Half a character on a page that stops a whole run when it is written or tokenized."""
    assert valid_text(text) == expected

    class Page(Safe):
        def start(self, task: Task, rng: np.random.Generator) -> str:
            super().start(task, rng)
            return text

        def act(self, action: str) -> Step:
            if action == "mistake":
                raise ActionError(text)
            return text, 0.0, False

    env = Page("safe-1")
    assert env.reset(seed=0)[0] == expected
    assert env.step("look")[0] == expected
    assert env.step("mistake")[0] == f"error: {expected}"
