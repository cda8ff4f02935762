"""Guards FunctionCalling: how an episode goes, the contract, and the benchmark's own verdicts."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.audit import audit
from agentgym_si.envs.bfcl_answers import DECLINE
from agentgym_si.envs.function_calling import MORE_FUNCTIONS, FunctionCallingEnv
from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.testing import check_env

ROOT = Path(__file__).parents[2]
OWN = str(ROOT / "tests" / "data" / "bfcl")
OFFICIAL = ROOT.parent / "shared" / "data"
HAS_CLASSES = all(importlib.util.find_spec(name) for name in ("bfcl_eval", "mpmath"))

needs_classes = pytest.mark.skipif(not HAS_CLASSES, reason="not installed: bfcl-eval, mpmath")
needs_official = pytest.mark.skipif(
    not (OFFICIAL / "tools" / "bfcl").is_dir(), reason="no BFCL verdicts beside the project"
)


def begin(task: str) -> tuple[FunctionCallingEnv, str]:
    env = FunctionCallingEnv(task, data=OWN)
    return env, env.reset(seed=0)[0]


def test_a_question_comes_with_its_functions() -> None:
    """A function that only the scorer knows of; tools that are the last task's."""
    env, first = begin("simple_python_0")
    assert first.endswith("\n\nHow large is a room of 4 by 5 metres?")
    assert json.loads(first.splitlines()[1]) == env.tools[0]
    assert env.tools[0]["parameters"]["properties"]["width"]["type"] == "number"
    env.reset(options={"task": "multiple_0"})
    assert [tool["name"] for tool in env.tools] == ["shape.area", "count_days"]


@pytest.mark.parametrize(
    ("action", "reward", "reason"),
    [
        ("[shape.area(width=4, height=5)]", 1.0, ""),
        ("shape.area(4, 5, 'M2')", 1.0, ""),
        ('{"name": "shape.area", "arguments": {"width": 4, "height": 5.0}}', 1.0, ""),
        ("[shape.area(width=4, height=6)]", 0.0, "height: expected type float and one of [5.0]"),
        ("[shape.area(width=4, height=2+3)]", 0.0, "shape.area: expected literal values"),
        ("[shape.area(width=4", 0.0, "expected calls"),
        ("20 square metres", 0.0, "expected 1 calls, got 0"),
    ],
)
def test_a_single_turn_takes_one_answer(action: str, reward: float, reason: str) -> None:
    """A second try after a wrong answer, which the benchmark does not give."""
    env, _ = begin("simple_python_0")
    observation, earned, terminated, truncated, info = env.step(action)
    assert (earned, terminated, truncated) == (reward, True, False)
    assert info["valid"] is bool(reward)
    assert info["reason"].startswith(reason)
    assert "5.0" not in observation  # what would have been right is not told


def test_doing_nothing_answers_nothing_even_where_no_call_is_right() -> None:
    """A no-op that scores on the tasks whose answer is to call nothing."""
    for action in (FunctionCallingEnv.noop, " ", ""):
        env, _ = begin("irrelevance_0")
        assert env.step(action)[1:3] == (0.0, False)
        assert env.step("I cannot look that up.")[1:3] == (1.0, True)


@needs_classes
def test_a_dialogue_is_played_turn_by_turn() -> None:
    """A world that forgets between turns; a reward before the last one."""
    env, _ = begin("multi_turn_base_0")
    assert env.max_steps == 42
    steps = [
        ("[mkdir('old')]", "mkdir: "),
        ("[rm('plan.txt')]", "error: unknown function 'rm'; did you mean mv?"),
        ('{"name": "mv", "arguments": {"source": "plan.txt"', "error: expected JSON"),
        ('{"name": "mv", "arguments": {"source": "plan.txt", "destination": "old"}}', "mv: "),
        ("It is done.", "What does it say, and what is 2 plus 3?"),
        ("[cd('old'), cat('plan.txt')]", 'cd: {"current_working_directory": "old"}\ncat: '),
        ("noop()", "nothing was done"),
        ("add(2, 3)", 'add: {"result": 5}'),
    ]
    for action, begins in steps:
        observation, reward, terminated, truncated, _ = env.step(action)
        assert observation.startswith(begins)
        assert (reward, terminated, truncated) == (0.0, False, False)
    _, reward, terminated, _, info = env.step("It says: sow in May. 5.")
    assert (reward, terminated, info["turn"], info["valid"]) == (1.0, True, 2, True)


@needs_classes
def test_a_turn_that_fails_ends_the_dialogue() -> None:
    """Turns that are played for nothing; a state that may be mended a turn too late."""
    env, _ = begin("multi_turn_base_0")
    env.step("[mkdir('old')]")
    _, reward, terminated, _, info = env.step("It is done.")
    assert (reward, terminated) == (0.0, True)
    assert info["reason"] == "turn 1: GorillaFileSystem.root differs from the reference's"


@needs_classes
def test_a_turn_takes_twenty_steps_with_calls() -> None:
    """An agent that goes round in circles to the end of its budget."""
    env, _ = begin("multi_turn_base_0")
    results = [env.step("[ls()]") for _ in range(21)]
    assert [result[2] for result in results] == [False] * 20 + [True]


@needs_classes
def test_functions_that_were_held_out_are_offered_later() -> None:
    """A function that the tools show or the world carries out too early."""
    env, _ = begin("multi_turn_miss_func_0")
    assert "cat" not in [tool["name"] for tool in env.tools]
    assert env.step("cat('plan.txt')")[0].startswith("error: unknown function 'cat'")
    observation = env.step("There is no function for that.")[0]
    assert observation.startswith('Functions:\n{"name": "cat"')
    assert observation.endswith(MORE_FUNCTIONS)
    assert env.tools[-1]["name"] == "cat"
    env.step("cat('plan.txt')")
    assert env.step("Here it is.")[0] == "And what is here?"


@needs_classes
def test_the_oracle_knows_only_its_own_way() -> None:
    """An oracle that goes on after a step that it would not have taken."""
    env, _ = begin("multi_turn_base_0")
    env.step(env.noop)
    first = env.oracle()
    assert env.step(first)[1] == 0.0
    env.step("[ls()]")
    with pytest.raises(NotImplementedError):
        env.oracle()


def test_where_the_classes_are_missing_dialogues_are_left_out_and_said() -> None:
    """An environment of fewer tasks than the folder has, without a word."""
    env = FunctionCallingEnv(data=OWN)
    assert set(env.left_out) == (
        set() if HAS_CLASSES else {"multi_turn_base", "multi_turn_miss_func"}
    )


def test_what_the_user_wrote_is_checked(tmp_path: Path) -> None:
    """A typing error that leaves an environment without tasks."""
    with pytest.raises(BadInput, match="expected a folder of BFCL's data"):
        FunctionCallingEnv(data=tmp_path / "bfcl")
    with pytest.raises(UnknownName, match="unknown suite 'paralel'"):
        FunctionCallingEnv(data=OWN, suite="paralel")
    assert FunctionCallingEnv("parallel_*", data=OWN).task_ids == ["parallel_0"]
    assert FunctionCallingEnv(data=OWN, suite="simple_*", split="test").task_ids[0] == (
        "simple_java_0"
    )


def test_our_contract_and_gymnasiums() -> None:
    """An environment of our own that would not pass what we ask of a user's."""
    gym.register(
        id="tests/FunctionCalling-v0",
        entry_point="agentgym_si.envs.function_calling:FunctionCallingEnv",
        kwargs={"data": OWN},
    )
    try:
        check_env("tests/FunctionCalling-v0", tasks=FunctionCallingEnv(data=OWN).task_ids)
    finally:
        del gym.registry["tests/FunctionCalling-v0"]


def test_the_audit_finds_no_free_points() -> None:
    """A task that its solution does not solve, or that doing nothing or everything does."""
    report = audit(lambda: FunctionCallingEnv(data=OWN), seeds=1)
    assert report.ok, [row for row in report.tasks if row.verdict == "failed"]
    assert [row.task for row in report.tasks if row.verdict == "no oracle"] == ["simple_python_3"]


ACTIONS = st.sampled_from(
    ["[f(", "shape.area(", "1, ", "width=", ")", "]", '{"name": "ls", "arguments": {', "}", "ls()",
     "<tool_call>", DECLINE, "power(9, 999999999)", "\ud800", "cd('..')", "mv('old', 'old')"]
)  # fmt: skip


@given(st.lists(st.lists(ACTIONS, max_size=5).map("".join), max_size=4), st.data())
def test_any_text_is_answered(actions: list[str], data: st.DataObject) -> None:
    """An action that ends a run of a thousand episodes with an exception."""
    env = FunctionCallingEnv(data=OWN)
    env.reset(seed=0, options={"task": data.draw(st.sampled_from(env.task_ids))})
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break


@needs_official
def test_our_verdicts_are_the_benchmarks() -> None:
    """A score that cannot be compared with anybody's."""
    command = [sys.executable, "benchmarks/parity.py", "--suite", "bfcl", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["rows"] >= 1200
    assert figures["agreement"] >= 0.995
    assert figures["differences"] == []


@needs_official
@pytest.mark.parametrize("suite", ["live_simple", "parallel", "multiple"])
def test_the_oracle_solves_the_benchmarks_own_tasks(suite: str) -> None:
    """A known bad label that is counted as the agent's failure; an oracle that fails."""
    env = FunctionCallingEnv(data=OFFICIAL / "tools" / "bfcl", suite=suite)
    unknown = [task for task in env.task_ids if not env.has_oracle(task)]
    bad_labels = ["live_simple_106-63-0", "live_simple_112-68-0"]
    assert unknown == (bad_labels if suite == "live_simple" else [])
    for task in env.task_ids[::7]:
        if task not in unknown:
            env.reset(seed=0, options={"task": task})
            assert env.step(env.oracle())[1] == 1.0
