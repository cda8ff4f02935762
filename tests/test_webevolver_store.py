"""The store of benchmarks/webevolver.py: drawn from a seed, solvable, judged by the dialogue."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from agentgym_si.audit import audit
from agentgym_si.envs.tools.env import ToolsEnv
from agentgym_si.policies.base import OraclePolicy
from agentgym_si.rollouts import Episode, rollout
from agentgym_si.types import Action, Task, Trajectory

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("webevolver_store")


def solved(store: ModuleType, part: str, count: int) -> list[Trajectory]:
    """Return episodes of the oracle."""
    env = ToolsEnv(domains=["webevolver_store:seed_3"], max_steps=3)
    tasks = store.task_ids()[part][:count]
    episodes = [Episode(task, index, task) for index, task in enumerate(tasks)]
    played = rollout(env, OraclePolicy(), episodes=episodes)
    env.close()
    return played


def test_what_is_held_out_is_never_trained_on(store: ModuleType) -> None:
    """A held-out request that was trained on would be memory."""
    env = ToolsEnv(domains=["webevolver_store:seed_3"])
    ids = store.task_ids()
    goals = {part: {env.all_tasks[task].goal for task in ids[part]} for part in ids}
    splits = {part: {env.all_tasks[task].split for task in ids[part]} for part in ids}
    assert sorted(task for part in ids.values() for task in part) == sorted(env.all_tasks)
    assert {part: len(found) for part, found in goals.items()} == store.QUERIES
    assert not goals["train"] & goals["test"]
    assert splits == {"warm": {"train"}, "train": {"train"}, "test": {"test"}}
    named = {part: {goal.split()[-1] for goal in found} for part, found in goals.items()}
    assert not named["warm"] & (named["train"] | named["test"])
    env.close()


def test_the_checker_agrees_with_the_world_where_items_are_named_as_on_the_shelf(
    store: ModuleType,
) -> None:
    """A checker of imagined dialogues that the world contradicts would teach what is wrong."""
    for played in solved(store, "test", 20):
        assert played.solved and store.told(played) == 1.0
        look, answer = played.transitions
        wrong = replace(answer, action=Action("9"))
        assert store.told(replace(played, transitions=(look, wrong))) == 0.0
        unasked = replace(played, task=Task(""))  # as a look ahead has it
        assert store.told(unasked) == store.on_the_way(unasked) == 1.0
        unseen = replace(answer, observation='{"item":"none","price":10}')
        assert store.told(replace(played, transitions=(look, unseen))) == 0.0
        assert store.told(replace(played, transitions=(look,))) == 0.0
        assert store.on_the_way(played) == 1.0


def test_wrong_ways_and_lists_earn_nothing(store: ModuleType) -> None:
    """Who tells the price of the shelf beside, or all prices, has found nothing."""
    env = ToolsEnv(domains=["webevolver_store:seed_3"])
    report = audit(env, tasks=store.task_ids()["test"][:5], seeds=1)
    assert [(row.verdict, row.oracle, row.cheat) for row in report.tasks] == [("ok", 1.0, 0.0)] * 5
    env.close()


def test_a_name_that_is_no_seed_is_refused(store: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no spare"):
        _ = store.spare
