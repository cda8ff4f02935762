"""The site of benchmarks/webevolver.py: drawn from a seed, solvable, and judged by what is seen."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from agentgym_si.types import Action, Task, Trajectory, Transition

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "webevolver_world", BENCHMARKS / "webevolver_world.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["webevolver_world"] = module
    spec.loader.exec_module(module)
    return module


def test_a_seed_fixes_the_world_and_queries_do_not_overlap(pages: ModuleType) -> None:
    """A held-out query that was trained on would be memory."""
    world = pages.draw_world(3, 5, 5, 5, nicknames=40)
    assert world == pages.draw_world(3, 5, 5, 5, 40) != pages.draw_world(4, 5, 5, 5, 40)
    warm, train, test = pages.draw_queries(world, 3, 40, 50)
    assert (len(warm), len(train), len(test)) == (40, 40, 50)
    assert len({*train, *test}) == 90 and not any(query.nickname for query in (*train, *test))
    names = [*world.categories, *world.shelves, *(n for part in world.things for n in part)]
    assert len(names) == len(set(names)) == 5 + 5 + 25


def test_the_first_queries_tell_nothing_of_the_names_on_pages(
    pages: ModuleType, tmp_path: Path
) -> None:
    """A name that the oracle was seen to find is no longer to be learned."""
    world = pages.draw_world(3, 5, 5, 5, nicknames=40)
    warm, train, test = pages.draw_queries(world, 3, 40, 50)
    site = pages.write_site(tmp_path, world, {"warm": warm, "train": train, "test": test})
    said: dict[str, set[str]] = {"warm": set(), "train": set(), "test": set()}
    for entry in json.loads((site / "tasks.json").read_text()):
        said[entry["id"].partition("-")[0]].add(entry["instruction"].split()[1])
    things = {name for part in world.things for name in part}
    assert said["warm"] == set(world.nicknames) and len(said["warm"]) == 40
    assert not said["warm"] & things and said["train"] | said["test"] <= things


def test_the_checker_reads_goal_and_page_alone(pages: ModuleType) -> None:
    def said(title: str, action: str) -> Trajectory:
        page = f'Goal: one thing\n[1] text "{title}"\nurl: http://guide.test/0-0.html'
        step = Transition(page, Action(action), 0.0, True, False)
        return Trajectory("t", "env", Task("t"), (step,), page, 0, world="imagined")

    done = "stop [done]"
    assert pages.found(said("thing", done)) == 1.0
    assert pages.found(said("two", done)) == pages.found(said("thing", "click('1')")) == 0.0
    assert pages.on_the_way(replace(said("thing", "click('1')"), final_observation="")) == 0.0


@pytest.mark.browser
def test_the_solution_is_the_only_way(pages: ModuleType, tmp_path: Path) -> None:
    """The checker that judges imagined episodes agrees with the environment on real ones."""
    from agentgym_si.envs.sites.env import SitesEnv
    from agentgym_si.policies.base import OraclePolicy
    from agentgym_si.rollouts import rollout

    world = pages.draw_world(3, 3, 3, 2, nicknames=2)
    queries = pages.draw_queries(world, 3, 2, 0)[1]
    env = SitesEnv(sites=pages.write_site(tmp_path, world, {"train": queries}), max_steps=4)
    (solved,) = rollout(env, OraclePolicy())
    assert solved.solved and pages.found(solved) == 1.0
    (lost,) = rollout(env, lambda history: "send_msg_to_user('done')")
    assert not lost.solved and pages.found(lost) == 0.0
    env.close()
