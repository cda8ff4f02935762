"""Guards Sites-v0: the contract, every kind of goal, judging, the oracle, and the splits."""

from __future__ import annotations

import dataclasses

import pytest

from agentgym_si.audit import audit
from agentgym_si.envs.sites.bank import KINDS, STEPS
from agentgym_si.envs.sites.env import SitesEnv
from agentgym_si.envs.sites.goals import Problem
from agentgym_si.envs.sites.playing import compared, play
from agentgym_si.envs.web.snapshot import read_page
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.testing import check_env


def started(task: str, seed: int = 0) -> SitesEnv:
    env = SitesEnv(task)
    env.reset(seed=seed)
    return env


def problem_of(task: str) -> Problem:
    episode = started(task).episode
    assert episode is not None
    return episode.problem


def solve(env: SitesEnv) -> tuple[float, list[str]]:
    """Return what the oracle earns from here, and its actions."""
    actions: list[str] = []
    earned, over = 0.0, False
    while not over:
        actions.append(env.oracle())
        _, reward, terminated, truncated, _ = env.step(actions[-1])
        earned, over = earned + reward, terminated or truncated
    return earned, actions


def solution(env: SitesEnv) -> list[str]:
    """Return the oracle's actions, the environment back at its start."""
    actions = solve(env)[1]
    env.reset(seed=env.episode_seed)
    return actions


def earn(env: SitesEnv, *actions: str) -> float:
    """Return what the actions earn from the start of the episode."""
    env.reset(seed=env.episode_seed)
    earned = 0.0
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        earned += reward
        if terminated or truncated:
            break
    return earned


# The contract, and the goals --------------------------------------------------------------


def test_the_environment_keeps_the_contract() -> None:
    """Content that follows a set's order, state that two episodes share."""
    check_env(SitesEnv, tasks=["shop-buy-0", "wiki-ask-older-1", "web-mail-to-cart-2"])


def test_every_kind_of_goal_is_reached_by_reaching_it_only() -> None:
    """A kind whose oracle fails, or that guessing, forging or a wrong target solves."""
    report = audit(SitesEnv(), tasks=[f"{name}-0" for name in KINDS], seeds=1)
    assert [row for row in report.tasks if row.verdict != "ok"] == []
    assert all(row.cheat == 0.0 for row in report.tasks)
    chance = [row.random for row in report.tasks if row.random is not None]
    assert sum(chance) / len(chance) < 0.1


def test_oracles_are_right_whatever_the_seed() -> None:
    """A goal that only the first seed's world allows."""
    env = SitesEnv()
    for number, task in enumerate(env.all_tasks):
        env.reset(seed=3 + 7 * number, options={"task": task})
        assert solve(env)[0] == 1.0, task


def test_a_solution_changes_something_or_answers_or_leads_somewhere() -> None:
    """A goal that is reached by any action at all: the world is as wanted from the start."""
    for name in KINDS:
        problem = problem_of(f"{name}-0")
        changed = compared(play(problem, problem.steps).world) != compared(problem.world)
        assert changed or problem.answered or problem.page not in ("", problem.start), name
        assert len(problem.steps) * 2 <= STEPS[KINDS[name].level], name


def test_cheats_are_many_and_of_several_kinds() -> None:
    """An audit that passes because it tries nothing."""
    env = started("shop-buy-0")
    cheats = ["\n".join(cheat) for cheat in env.cheats()]
    assert len(cheats) >= 12
    for sort in ("javascript:", "file:", "shop.test/checkout?name=", "report_infeasible", "/admin"):
        assert any(sort in cheat for cheat in cheats), sort


# Judging ----------------------------------------------------------------------------------


def test_what_is_done_is_judged_not_the_way_to_it() -> None:
    """A detour that costs the reward; an order that a confirm page's address grants."""
    env = started("shop-buy-0")
    steps = solution(env)
    assert earn(env, "goto('http://wiki.test/')", "go_back()", *steps) == 1.0
    assert earn(env, *steps[:-1], "goto('http://shop.test/order/1')", "noop()") == 0.0


def test_more_than_was_wanted_earns_nothing() -> None:
    """A product that is put into the cart twice."""
    env = started("shop-add-named-0")
    look, add = solution(env)
    assert earn(env, look, "select_option('9', '2')", add) == 0.0


def test_an_answer_counts_only_after_what_it_needs_was_read() -> None:
    """A price that is guessed; one among all of them; one at the end of a page read aloud."""
    env = started("shop-ask-price-0")
    look, answer = solution(env)
    price = answer.split("'")[1]
    assert earn(env, look, answer) == 1.0
    assert earn(env, look, f"send_msg_to_user('It costs {price} euro.')") == 1.0
    assert earn(env, answer) == 0.0
    assert earn(env, "fill('10', '{price} euro')", answer) == 0.0
    env.reset(seed=env.episode_seed)
    page = env.step(look)[0]
    prices = " ".join(word for word in page.split() if word.strip('"').isdigit())
    assert price in prices
    assert earn(env, look, f"send_msg_to_user('{prices}')") == 0.0
    assert earn(env, look, "send_msg_to_user('')") == 0.0


def test_what_cannot_be_done_has_to_be_found_out_and_said() -> None:
    """An agent that gives up at once, or on everything."""
    env = started("shop-sold-out-0")
    look, give_up = solution(env)
    assert earn(env, look, give_up) == 1.0
    assert earn(env, give_up) == 0.0
    assert earn(env, look, "send_msg_to_user('sold out')") == 0.0
    feasible = started("shop-add-named-0")
    assert earn(feasible, "report_infeasible('no')") == 0.0


def test_a_page_to_open_has_to_be_shown_with_nothing_changed() -> None:
    """Another page of the same site, or the right one after a purchase."""
    env = started("shop-open-product-0")
    assert env.episode is not None
    assert earn(env, f"goto('{env.episode.problem.page}')") == 1.0
    assert earn(env, "goto('http://shop.test/item/1?q=1')", "goto('http://shop.test/')") == 0.0


# The oracle -------------------------------------------------------------------------------


def test_the_oracle_begins_again_after_reading_and_gives_up_after_harm() -> None:
    """An oracle that goes on where it is not, or that does not notice what was changed."""
    env = started("shop-buy-0")
    look = solution(env)[0]
    env.step(look)
    env.step("goto('http://mail.test/')")
    assert env.oracle() == "goto('http://shop.test/')"
    env.step("noop()")
    assert solve(env)[0] == 1.0
    env = started("shop-remove-0")
    page = read_page(env.step("noop()")[0])
    wanted = env.oracle()
    other = next(
        f"click('{element.id}')"
        for element in page.elements
        if element.name.startswith("Remove") and f"click('{element.id}')" != wanted
    )
    env.step(other)
    with pytest.raises(NotImplementedError):
        env.oracle()


# Tasks, splits and arguments --------------------------------------------------------------


def test_test_goals_are_of_other_words_kinds_and_sites() -> None:
    """A paraphrase, a kind or a site that was trained on."""
    env = SitesEnv()
    by_split: dict[str, list[str]] = {}
    for task in env.all_tasks.values():
        by_split.setdefault(task.split, []).append(task.id)
    assert set(by_split) == {"train", "test", "test-kind", "test-site"}
    goals = {split: {env.all_tasks[task].goal for task in ids} for split, ids in by_split.items()}
    assert goals["train"].isdisjoint(goals["test"])
    kinds = {
        split: {str(env.all_tasks[task].data["kind"]) for task in ids}
        for split, ids in by_split.items()
    }
    assert kinds["train"] == kinds["test"]
    assert kinds["train"].isdisjoint(kinds["test-kind"] | kinds["test-site"])
    assert {env.all_tasks[task].data["site"] for task in by_split["test-site"]} == {"travel"}
    assert not any("travel" in task for split in ("train", "test") for task in by_split[split])
    assert len(KINDS) == 66 and len(env.all_tasks) == 396


def test_number_and_seed_both_make_the_episode() -> None:
    """Six task ids that are one task."""
    env = SitesEnv("shop-buy-*")
    seen = {
        env.reset(seed=seed, options={"task": task})[0]
        for seed in range(3)
        for task in ("shop-buy-0", "shop-buy-2")
    }
    assert len(seen) == 6


def test_arguments_that_cannot_be_are_refused_in_words() -> None:
    """A screenshot of a text."""
    with pytest.raises(UnknownName, match="unknown backend 'browsr' in SitesEnv; did you mean br"):
        SitesEnv(backend="browsr")
    with pytest.raises(BadInput, match="expected backend='browser' with screenshot, got"):
        SitesEnv(screenshot=True)
    with pytest.raises(UnknownName, match="unknown render mode 'rgb_array'"):
        SitesEnv(render_mode="rgb_array")


def test_changes_only_shows_what_is_new() -> None:
    """A view that is taken and not honoured."""
    env = SitesEnv("shop-check-out-0", changes_only=True)
    first, _ = env.reset(seed=0)
    assert "[1] link" in first
    after = env.step(env.oracle())[0]
    assert '+ [7] textbox "Name"' in after and '[1] link "Corner Shop"' not in after


def test_an_episode_is_one_value() -> None:
    """State beside the world, which no snapshot would hold."""
    problem = problem_of("shop-buy-0")
    assert hash(problem.world) == hash(dataclasses.replace(problem.world))
    assert play(problem, problem.steps).world == play(problem, problem.steps).world
