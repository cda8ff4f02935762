"""Guards Tools-v0: contract and audit of every domain, success, user, calls and splits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgym_si.audit import audit
from agentgym_si.envs.calls import Call, format_call, format_calls
from agentgym_si.envs.tools.domain import Domain, Kind, read_state
from agentgym_si.envs.tools.env import DOMAINS, NOTHING_TO_ADD, ToolsEnv, find_domain
from agentgym_si.envs.tools.travel_tasks import DOMAIN as TRAVEL
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.testing import check_env


def started(kind: str, *, seed: int = 0, split: str | None = None) -> tuple[ToolsEnv, str]:
    """Return an environment at the start of a task of `domain.kind`, and the goal."""
    domain, name = kind.split(".")
    env = ToolsEnv(domains=[domain], split=split)
    task = next(task for task in env.task_ids if env.all_tasks[task].data["kind"] == name)
    return env, env.reset(seed=seed, options={"task": task})[0]


def call(name: str, **arguments: Any) -> str:
    return format_call(Call(name, arguments))


def play(env: ToolsEnv, *actions: str) -> float:
    """Return what the actions earn together."""
    earned = 0.0
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        earned += reward
        if terminated or truncated:
            break
    return earned


def solve(env: ToolsEnv, actions: list[str] | None = None) -> float:
    """Return what the oracle earns; its actions are appended to `actions`."""
    actions, earned, over = [] if actions is None else actions, 0.0, False
    while not over:
        actions.append(env.oracle())
        _, reward, terminated, truncated, _ = env.step(actions[-1])
        earned, over = earned + reward, terminated or truncated
    return earned


def solution(env: ToolsEnv) -> list[str]:
    """Return the oracle's actions, the environment back at its start."""
    actions: list[str] = []
    solve(env, actions)
    env.reset(seed=env.episode_seed, options={"task": env.current_task.id})
    return actions


# The contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_keeps_the_contract(domain: str) -> None:
    """A domain with a clock, a shared connection, an order that a set gives."""
    check_env(lambda: ToolsEnv(domains=[domain]))


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_kind_of_task_is_solved_by_solving_it_only(domain: str) -> None:
    """A kind whose oracle fails, or that doing nothing, listing or a wrong target solves."""
    env = ToolsEnv(domains=[domain])
    of_kind: dict[Any, str] = {}
    for task in env.task_ids:
        data = env.all_tasks[task].data
        of_kind.setdefault((data["kind"], task > f"{domain}-l{data['level']}-0020"), task)
    assert len(of_kind) == 2 * len(env.domains[domain].kinds)
    report = audit(env, tasks=sorted(of_kind.values()), seeds=2)
    assert [row for row in report.tasks if row.verdict != "ok"] == []
    assert all(row.cheat == 0.0 for row in report.tasks)
    chance = [row.random for row in report.tasks if row.random is not None]
    assert sum(chance) / len(chance) < 0.08


def test_no_two_tasks_are_equal_and_every_oracle_is_right() -> None:
    """A number in the id that changes nothing, an oracle that only works for the first seed."""
    env = ToolsEnv()
    seen = set()
    for number, task in enumerate(env.all_tasks):
        goal, _ = env.reset(seed=number % 7, options={"task": task})
        assert env.problem is not None
        steps = repr(env.problem.steps)
        seen.add((goal, json.dumps(read_state(env.database)), steps))
        assert solve(env) == 1.0, task
    assert len(seen) == len(env.all_tasks) == 5 * 5 * 30


def test_cheats_are_many_and_of_several_kinds() -> None:
    """An audit that passes because it tries nothing."""
    env, goal = started("bank.send")
    cheats = env.cheats()
    assert len(cheats) >= 10
    assert [goal] in cheats and ["done"] in cheats
    assert any("OR '1'='1" in cheat[0] for cheat in started("orders.redirect")[0].cheats())


# Success ----------------------------------------------------------------------------------


def test_success_is_the_state_that_is_left_not_the_path() -> None:
    """A detour, or another order, that costs the reward."""
    env, _ = started("orders.redirect")
    change, answer = solution(env)
    wanted = json.loads(change)["arguments"]
    detour = call("change_city", order=wanted["order"], city="Nowhere")
    assert play(env, detour, change, answer) == 1.0
    env, _ = started("bank.pay_three")
    steps = solution(env)
    transfers = [step for step in steps if "transfer" in step]
    # two of them were turned away as busy; what is left is made backwards
    assert play(env, *transfers[:2], *reversed(transfers[2:]), *steps[-2:]) == 1.0


def test_doing_twice_what_is_wanted_once_earns_nothing() -> None:
    """Money that is sent twice, and nobody minds."""
    env, _ = started("bank.send")
    pay, answer = solution(env)
    assert play(env, pay, pay, answer) == 0.0


def test_the_right_state_without_the_answer_earns_nothing() -> None:
    """A question of the user's that need not be answered."""
    env, _ = started("orders.buy")
    place, total = solution(env)
    assert play(env, place, "done") == 0.0
    env.reset(seed=0, options={"task": env.current_task.id})
    assert play(env, place, f"That is {total} in total.") == 1.0
    env.reset(seed=0, options={"task": env.current_task.id})
    assert play(env, f"That is {total} in total.") == 0.0


def test_what_the_policy_forbids_earns_nothing_and_refusing_does() -> None:
    """A tool that lets it pass, taken for permission."""
    env, _ = started("orders.refuse_cancel")
    look, day = solution(env)
    order = json.loads(look)["arguments"]["order"]
    assert play(env, look, call("cancel_order", order=order), day) == 0.0
    env.reset(seed=0, options={"task": env.current_task.id})
    assert play(env, look, f"I must not: it was shipped on day {day}.") == 1.0
    assert "pending" in env.instructions


# The user ---------------------------------------------------------------------------------


def test_the_user_answers_what_the_goal_leaves_out() -> None:
    """A question that ends the episode, or is answered before it is asked."""
    env, goal = started("orders.ask_city")
    _, change, answer = solution(env)
    city = json.loads(change)["arguments"]["city"]
    assert city not in goal
    observation, reward, terminated, _, _ = env.step("Please tell me the new address.")
    assert (observation, reward, terminated) == (f"To {city}.", 0.0, False)
    assert play(env, change, "It goes to the new city.") == 1.0
    env.reset(seed=0, options={"task": env.current_task.id})
    assert env.step("How are you?")[0] == NOTHING_TO_ADD
    assert play(env, answer) == 0.0


def test_a_polite_question_after_the_answer_loses_nothing() -> None:
    """An agent that says the value, asks whether there is more, and is judged by its farewell."""
    env, _ = started("orders.ask_price")
    look, price = solution(env)
    assert play(env, look, f"It costs {price}. Is there anything else?", "Goodbye!") == 1.0


def test_an_empty_answer_is_a_mistake() -> None:
    """A policy that says nothing at all and is solved at level 0."""
    env, _ = started("orders.cancel")
    _, reward, terminated, _, info = env.step("  \n")
    assert (reward, terminated) == (0.0, False)
    assert info["action_error"] == "expected a call or a text to the user, got nothing"


# Calls ------------------------------------------------------------------------------------


def test_wrong_calls_are_told_what_was_expected_what_came_and_where() -> None:
    """An agent that cannot learn from its mistake."""
    env, _ = started("bank.send")
    before = read_state(env.database)
    errors = [
        env.step(action)[4]["action_error"]
        for action in (
            call("transfre", source=1),
            call("transfer", source="1", target=2, amount=3),
            call("transfer", source=1, target=2),
            call("transfer", source=1, target=2, amount=3),
        )
    ]
    assert errors == [
        "unknown tool 'transfre'; did you mean transfer?",
        "transfer: expected argument 'source' of type integer, got \"1\" (string)",
        "transfer: expected argument 'amount' of type integer, got none",
        "no account 1",
    ]
    assert read_state(env.database) == before


def test_several_calls_in_one_action_are_made_in_order_each_by_itself() -> None:
    """One bad call that takes the good ones with it, or is not told."""
    env, _ = started("bank.pay_name")
    look, pay, answer = (json.loads(step) if "{" in step else step for step in solution(env))
    calls = [Call(entry["name"], entry["arguments"]) for entry in (look, pay)]
    observation = env.step(format_calls([calls[0], Call("get_account", {"account": 1}), calls[1]]))
    lines = observation[0].splitlines()
    assert lines[0].startswith('{"name":')
    assert lines[1:] == ["error: no account 1", "done"]
    assert play(env, answer) == 1.0
    env.reset(seed=0, options={"task": env.current_task.id})
    many = env.step(format_calls([calls[0]] * 17))[4]["action_error"]
    assert many == "expected at most 16 calls, got 17"


def test_a_busy_tool_works_when_it_is_called_again() -> None:
    """A call that is turned away and carried out all the same."""
    env, _ = started("bank.top_up")
    *looks, pay, again, left = solution(env)
    assert pay == again
    before = read_state(env.database)
    assert play(env, *looks) == 0.0
    assert env.step(pay)[0] == "error: transfer is busy, try again"
    assert read_state(env.database) == before
    assert env.step(pay)[0] == "done"
    assert play(env, left) == 1.0


def test_the_oracle_goes_on_after_reading_and_gives_up_after_harm() -> None:
    """An oracle that is lost as soon as one step is not its own, or does not notice harm."""
    env, _ = started("orders.cancel_by_name")
    look, cancel, answer = solution(env)
    env.step(env.noop)
    env.step(call("get_order", order=1))
    assert env.oracle() == look
    env.step(call("get_product", item="anvil"))
    env.step(look)
    assert env.oracle() == cancel
    env.step(cancel)
    assert env.oracle() == answer
    env.step(call("return_order", order=json.loads(cancel)["arguments"]["order"]))
    with pytest.raises(NotImplementedError):
        env.oracle()


def test_tools_are_those_of_the_episode_and_more_at_higher_levels() -> None:
    """Schemas of the episode before, or the answer given away by the choice of tools."""
    env, _ = started("bank.lock")
    few = [tool["name"] for tool in env.tools]
    assert {"freeze", "unfreeze"} < set(few) and len(few) == 4
    assert env.step(call("set_limit", account=1, limit=2))[4]["action_error"]
    env.reset(seed=0, options={"task": "bank-l2-0000"})
    assert [tool["name"] for tool in env.tools] == [
        function.__name__ for function in env.domains["bank"].tools
    ]
    assert all(tool["description"] and "parameters" in tool for tool in env.tools)
    assert "database" not in json.dumps(env.tools)


# Tasks and splits -------------------------------------------------------------------------


def test_test_tasks_are_worded_as_no_task_to_train_on() -> None:
    """A paraphrase that was trained on, a held-out domain among the tasks to train on."""
    train, test = ToolsEnv(split="train"), ToolsEnv(split="test")
    wordings = [{env.all_tasks[task].goal for task in env.task_ids} for env in (train, test)]
    assert wordings[0].isdisjoint(wordings[1])
    assert len(train.task_ids) == 4 * 5 * 20 and len(test.task_ids) == 4 * 5 * 10
    held_out = ToolsEnv(split="test-domain").task_ids
    assert {task.split("-")[0] for task in held_out} == {"travel"}
    assert not any(task.startswith("travel") for task in [*train.task_ids, *test.task_ids])


def test_number_and_seed_both_make_the_episode() -> None:
    """Twenty task ids that are one task."""
    env = ToolsEnv("orders-l0-*")
    goals = {
        env.reset(seed=seed, options={"task": task})[0]
        for seed in range(3)
        for task in ("orders-l0-0000", "orders-l0-0006", "orders-l0-0012")
    }
    assert len(goals) == 9


def test_domains_are_found_by_name_and_place() -> None:
    """A spelling mistake that is an ImportError from nowhere."""
    assert (
        find_domain("agentgym_si.envs.tools.travel_tasks:DOMAIN") is TRAVEL is find_domain(TRAVEL)
    )
    with pytest.raises(UnknownName, match="unknown domain 'order' in ToolsEnv; did you mean ord"):
        ToolsEnv(domains=["order"])
    with pytest.raises(BadInput, match="expected module:attribute of a Domain, got 'no_such:X'"):
        ToolsEnv(domains=["no_such:X"])
    with pytest.raises(BadInput, match="expected a Domain at 'json:dumps', got function"):
        ToolsEnv(domains=["json:dumps"])
    with pytest.raises(BadInput, match="each of its own name"):
        ToolsEnv(domains=["bank", "bank"])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "Two words"}, "expected a domain's name"),
        ({"tools": TRAVEL.tools[:1] * 2}, "expected tools of different names"),
        ({"kinds": ()}, "expected kinds of levels 0, 1"),
        ({"kinds": (Kind(1, TRAVEL.kinds[0].draw, ("",), ("",)),)}, "expected kinds of levels"),
    ],
)
def test_a_domain_that_cannot_be_one_is_refused(changes: dict[str, Any], complaint: str) -> None:
    """A domain whose fault shows in the middle of a run."""
    fields = {name: getattr(TRAVEL, name) for name in Domain.__dataclass_fields__}
    with pytest.raises(BadInput, match=complaint):
        Domain(**{**fields, **changes})
