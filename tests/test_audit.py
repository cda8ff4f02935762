"""Guards the audit: each kind of unsound task is found, and a failed box is not taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agentgym_si import codec
from agentgym_si.audit import AuditReport, TaskAudit, audit
from agentgym_si.envs.base import Step, TextEnv
from agentgym_si.errors import BadInput, EnvFailure, UnknownName
from agentgym_si.types import Task


class Coins(TextEnv):
    """Two cups, one coin: `left` or `right`, as the note says."""

    instructions = "Lift the cup with the coin."
    default_max_steps = 3
    examples = ("left", "right")

    def tasks(self) -> Sequence[Task]:
        return [Task("plain"), Task("odd")]

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.cup = str(rng.choice(["left", "right"]))
        return f"the coin is under the {self.cup} cup"

    def act(self, action: str) -> Step:
        if action == self.noop:
            return "the cups wait", 0.0, False
        return "lifted", float(action == self.cup), True

    def oracle(self) -> str:
        return self.cup

    def candidates(self) -> Sequence[str]:
        return ("left", "right")

    def cheats(self) -> Sequence[Sequence[str]]:
        return (["both"], ["noop()", "the coin"])

    @property
    def odd(self) -> bool:
        return self.current_task.id == "odd"


def audit_odd(env: type[Coins], **arguments: Any) -> TaskAudit:
    """Audit both tasks; the plain one must come out well whatever the odd one does."""
    report = audit(env, **arguments)
    plain, odd = report.tasks
    assert (plain.task, plain.verdict, plain.reason) == ("plain", "ok", "")
    assert report.ok == (odd.verdict != "failed")
    return odd


def test_a_sound_environment_is_ok() -> None:
    """An audit that nothing passes, or that miscounts what it played."""
    row = audit_odd(Coins, seeds=4)
    assert (row.verdict, row.oracle, row.noop, row.cheat) == ("ok", 1.0, 0.0, 0.0)
    assert row.random in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert row.repeatable
    # for each seed: the oracle, random play and a repetition of both, doing nothing, two cheats
    assert (row.episodes, row.failures) == (4 * 7, 0)


def test_random_play_is_the_mean_over_seeds() -> None:
    """A mean over the seeds that were lucky."""
    assert audit_odd(Coins, seeds=60).random == pytest.approx(0.5, abs=0.2)


class Unsolvable(Coins):
    def act(self, action: str) -> Step:
        observation, reward, terminated = super().act(action)
        return observation, reward * (0.5 if self.odd else 1.0), terminated


class UnsolvableAtOneSeed(Coins):
    def act(self, action: str) -> Step:
        observation, reward, terminated = super().act(action)
        return observation, reward * (not self.odd or self.episode_seed != 2), terminated


class GivesUp(Coins):
    def oracle(self) -> str:
        if self.odd:
            raise NotImplementedError
        return super().oracle()


class PaysForNothing(Coins):
    def act(self, action: str) -> Step:
        if self.odd and action == self.noop:
            return "the cups wait", 0.25, False
        return super().act(action)


class Gullible(Coins):
    def act(self, action: str) -> Step:
        return super().act(self.cup if self.odd and action == "the coin" else action)


class Forgetful(Coins):
    episodes = 0

    def start(self, task: Task, rng: np.random.Generator) -> str:
        self.episodes += 1
        note = f" ({self.episodes})" if task.id == "odd" else ""
        return super().start(task, rng) + note


class PaysOnce(Coins):
    """The same observations, another reward the second time."""

    paid = 0

    def act(self, action: str) -> Step:
        observation, reward, terminated = super().act(action)
        self.paid += self.odd
        return observation, reward * (1.0 if not self.odd or self.paid == 1 else 0.9), terminated


@pytest.mark.parametrize(
    ("env", "reason", "figures"),
    [
        (Unsolvable, "oracle earned 0.5 at seed 0", {"oracle": 0.5}),
        (UnsolvableAtOneSeed, "oracle earned 0 at seed 2", {"oracle": 0.0}),
        (GivesUp, "oracle earned 0 at seed 0", {"oracle": 0.0}),
        (PaysForNothing, "noop earned 0.75 at seed 0", {"noop": 0.75, "cheat": 0.25}),
        (Gullible, "cheat earned 1 at seed 0 (it begins with 'noop()')", {"cheat": 1.0}),
        (Forgetful, "seed 0 gave two different episodes", {"repeatable": False}),
        (PaysOnce, "seed 0 gave two different episodes", {"repeatable": False}),
    ],
)
def test_an_unsound_task_fails_with_its_reason(
    env: type[Coins], reason: str, figures: dict[str, object]
) -> None:
    """A task that cannot be solved, or that can be without solving it, used to train."""
    row = audit_odd(env)
    assert row.verdict == "failed"
    assert reason in row.reason
    assert {name: getattr(row, name) for name in figures} == figures


def test_a_task_without_an_oracle_is_said_and_does_not_fail() -> None:
    """A missing oracle reported as a pass, or as a broken task."""

    class Unknown(Coins):
        def has_oracle(self, task_id: str) -> bool:
            return task_id != "odd"

    row = audit_odd(Unknown)
    assert (row.verdict, row.reason, row.oracle) == ("no oracle", "", None)
    assert row.noop == 0.0


def test_a_task_without_an_oracle_still_fails_for_the_rest() -> None:
    """A no-op that pays, excused by the missing oracle."""

    class Unknown(PaysForNothing):
        def has_oracle(self, task_id: str) -> bool:
            return task_id != "odd"

    assert audit_odd(Unknown).verdict == "failed"


def test_a_box_that_fails_now_and_then_is_counted_apart() -> None:
    """A dead browser counted as an oracle that earned 0, or as another episode."""

    class Shaky(Coins):
        steps = 0

        def act(self, action: str) -> Step:
            self.steps += 1
            if self.odd and self.steps % 7 == 0:
                raise EnvFailure("crash", "the table was moved")
            return super().act(action)

    row = audit_odd(Shaky, seeds=6)
    assert (row.verdict, row.oracle, row.repeatable) == ("ok", 1.0, True)
    assert 1 < row.failures < row.episodes / 2


@pytest.mark.parametrize("when", ["start", "act"])
def test_a_box_that_always_fails_is_no_pass(when: str) -> None:
    """An audit that passes because nothing could be played."""

    class Broken(Coins):
        def start(self, task: Task, rng: np.random.Generator) -> str:
            if when == "start" and task.id == "odd":
                raise EnvFailure("crash", "no table")
            return super().start(task, rng)

        def act(self, action: str) -> Step:
            if self.odd:
                raise EnvFailure("crash", "no table")
            return super().act(action)

    row = audit_odd(Broken)
    assert row.verdict == "failed"
    assert "the box failed in every episode of noop" in row.reason
    assert (row.oracle, row.noop, row.random) == (None, None, None)
    assert row.failures == row.episodes


def test_a_report_survives_json() -> None:
    """A report that can be printed and not kept."""
    report = audit(Coins)
    assert codec.loads(AuditReport, codec.dumps(report)) == report
    assert (report.env_id, report.seeds) == ("Coins", 3)


def test_tasks_can_be_chosen_and_watched() -> None:
    """A progress bar that only moves at the end."""
    seen: list[TaskAudit] = []
    report = audit(Coins, tasks=["odd"], on_task=seen.append)
    assert [row.task for row in seen] == ["odd"]
    assert report.tasks == tuple(seen)
    with pytest.raises(UnknownName):
        audit(Coins, tasks=["even"])


def test_an_id_a_factory_and_an_environment_are_all_taken() -> None:
    """An environment of the caller's that the audit closes."""

    class Closable(Coins):
        closed = False

        def close(self) -> None:
            self.closed = True

    env = Closable()
    audit(env)
    assert not env.closed
    made: list[Closable] = []
    audit(lambda: made.append(Closable()) or made[-1])  # type: ignore[func-returns-value]
    assert made[0].closed
    report = audit("agentgym_si/LongHorizon-v0", tasks=["sum-k1-t1"], seeds=1)
    assert report.env_id == "agentgym_si/LongHorizon-v0"


def test_what_cannot_be_audited_is_refused() -> None:
    """An audit of zero seeds that passes."""
    with pytest.raises(BadInput, match="expected at least 1 seed, got 0"):
        audit(Coins, seeds=0)
    with pytest.raises(BadInput, match="expected a TextEnv to audit, got CartPoleEnv"):
        audit(lambda: gym.make("CartPole-v1"))  # type: ignore[arg-type,return-value]


def test_all_of_long_horizon_is_sound() -> None:
    """A bundled task without a solution, or with a way around it."""
    report = audit("agentgym_si/LongHorizon-v0", seeds=2)
    assert {row.verdict for row in report.tasks} == {"ok"}
    assert len(report.tasks) == 24
