"""Guards serving: an outside agent plays by the official client, and what it plays is recorded."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from agentgym_si.cli.serve import serve
from agentgym_si.envs.calls import parse_calls
from agentgym_si.envs.long_horizon import LongHorizonEnv
from agentgym_si.envs.mcp import MCPEnv
from agentgym_si.envs.tools.env import ToolsEnv
from agentgym_si.errors import ActionError, BadInput, UnknownName
from agentgym_si.serving import RESET, STEP, Played
from agentgym_si.store import Run, read_trajectories
from agentgym_si.types import Task

HORIZON, TOOLS = "agentgym_si/LongHorizon-v0", "agentgym_si/Tools-v0"
SERVE = (
    sys.executable,
    "-c",
    "import typer; from agentgym_si.cli.serve import serve; typer.run(serve)",
)

needs_mcp = pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="not installed: mcp")

Call = Callable[..., Coroutine[Any, Any, Mapping[str, Any]]]


def answers(task: str, seed: int) -> tuple[str, ...]:
    """Return the solution of an episode of LongHorizon."""
    env = LongHorizonEnv(task)
    env.reset(seed=seed)
    return env.solution


# Without a server -------------------------------------------------------------------------


def test_an_episode_is_recorded_as_a_rollout_records_it(tmp_path: Path) -> None:
    """A record of an outside agent that cannot be trained on, replayed or scored like others."""
    with Run(tmp_path, {}) as run:
        played = Played(lambda: gym.make(HORIZON), run, policy_name="human")
        begun = played.call("reset", {"task": "sum-k1-t5", "seed": 3})
        assert (begun["task"], begun["seed"], begun["terminated"]) == ("sum-k1-t5", 3, False)
        assert begun["instructions"] == LongHorizonEnv.instructions
        for answer in answers("sum-k1-t5", 3):
            last = played.call("step", {"action": answer})
        assert (last["reward"], last["terminated"]) == (1.0, True)
        assert set(last) == {"observation", "reward", "terminated", "truncated"}  # no info
        played.close()
    (trajectory,) = read_trajectories(tmp_path)
    assert trajectory.solved and trajectory.actions == answers("sum-k1-t5", 3)
    assert (trajectory.env_id, trajectory.policy_version) == (HORIZON, "human")
    assert (trajectory.seed, trajectory.costs.calls) == (3, 5)
    assert trajectory.transitions[0].observation == begun["observation"]
    assert trajectory.transitions[-1].info["correct"] is True


def test_an_episode_that_is_left_is_a_lost_one(tmp_path: Path) -> None:
    """An agent that resets whenever it is about to lose, and so never does."""
    with Run(tmp_path, {}) as run:
        played = Played(lambda: gym.make(HORIZON), run)
        played.call("reset", {})  # left without a step: nothing was played
        for _ in range(2):
            played.call("reset", {"task": "sum-k1-t5"})
            played.call("step", {"action": "0"})
        played.close()
    first, second = read_trajectories(tmp_path)
    assert (first.id, second.id) == ("serve/0", "serve/1")
    assert (first.seed, second.seed) == (1, 2)
    assert first.transitions[-1].truncated and not first.solved and first.failure is None


def test_a_record_that_exists_goes_on(tmp_path: Path) -> None:
    """A second session that cannot store, because its episodes are called like the first's."""
    for _ in range(2):
        with Run(tmp_path, {}) as run:
            played = Played(lambda: gym.make(HORIZON), run, seed=7)
            played.call("reset", {"task": "sum-k1-t1"})
            played.call("step", {"action": "0"})
            played.close()
    assert [(t.id, t.seed) for t in read_trajectories(tmp_path)] == [("serve/0", 7), ("serve/1", 8)]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("step", {"action": "1"}, "The episode is over"),
        ("step", {}, "expected action to be a text, got 'None'"),
        ("step", {"action": 5}, "expected action to be a text, got '5'"),
        ("reset", {"seed": -1}, "expected seed to be an integer of 0 or more"),
        ("reset", {"seed": True}, "expected seed to be an integer"),
        ("reset", {"tsak": "a"}, "expected only task, seed, got 'tsak'"),
        ("submit_sum", {"total": 1}, "unknown tool 'submit_sum'"),
    ],
)
def test_what_cannot_be_played_is_said(name: str, arguments: Any, message: str) -> None:
    """A mistake of the agent's that ends the server."""
    with closing(Played(lambda: gym.make(HORIZON))) as played:
        with pytest.raises(ActionError, match=message):
            played.call(name, arguments)
        with pytest.raises(UnknownName, match="unknown task 'sum-k1-t2'"):
            played.call("reset", {"task": "sum-k1-t2"})


def test_the_environments_own_tools_are_tools(tmp_path: Path) -> None:
    """Tools that can only be called as JSON inside the text of `step`."""
    with Run(tmp_path, {}) as run, closing(Played(lambda: gym.make(TOOLS), run)) as played:
        assert played.tools() == [RESET, STEP]
        begun = played.call("reset", {"seed": 5})
        assert played.tools()[2:] == begun["tools"] and len(begun["tools"]) > 2
        last = play_solution(lambda name, arguments: played.call(name, arguments), begun)
        assert (last["reward"], last["terminated"]) == (1.0, True)
    (trajectory,) = read_trajectories(tmp_path)
    assert trajectory.solved and parse_calls(trajectory.actions[0])


def play_solution(call: Callable[[str, Any], Any], begun: Mapping[str, Any]) -> Any:
    """Play an oracle's actions, calls as calls of the tools themselves."""
    env = ToolsEnv()
    env.reset(seed=begun["seed"], options={"task": begun["task"]})
    over, answer = False, None
    while not over:
        action = env.oracle()
        calls = parse_calls(action)
        if calls:
            answer = call(calls[0].name, calls[0].arguments)
        else:
            answer = call("step", {"action": action})
        over = env.step(action)[2]
    env.close()
    return answer


@pytest.mark.parametrize("options", [{}, {"mcp": True, "seed": -1}, {"mcp": True, "http": 70000}])
def test_a_wrong_command_is_refused(options: dict[str, Any]) -> None:
    """A server that begins and then cannot go on."""
    with pytest.raises(BadInput, match="expected --"):
        serve(HORIZON, **options)


# With the official client -----------------------------------------------------------------


def play_by_client(transport: Any, play: Callable[[Any, Call], Coroutine[Any, Any, None]]) -> None:
    from mcp import ClientSession

    async def run() -> None:
        async with transport as (read, write), ClientSession(read, write) as client:
            await client.initialize()

            async def call(name: str, **arguments: Any) -> Any:
                result = await client.call_tool(name, arguments)
                return {"text": result.content[0].text, **(result.structured_content or {})}

            await play(client, call)

    asyncio.run(asyncio.wait_for(run(), 100))


@needs_mcp
def test_the_official_client_plays_over_stdio(tmp_path: Path) -> None:
    """A server that another implementation of the protocol cannot use, or prints on its wire."""
    from mcp import StdioServerParameters, stdio_client

    async def play(client: Any, call: Call) -> None:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == ["reset", "step"]
        begun = await call("reset", task="sum-k2-t5", seed=4)
        assert LongHorizonEnv.instructions in begun["text"]
        assert begun["observation"] in begun["text"] and begun["seed"] == 4
        assert "error: " in (await call("step", action="none"))["observation"]
        assert (await call("step", actoin="1"))["text"].startswith("error: expected only action")
        for answer in answers("sum-k2-t5", 4):
            last = await call("step", action=answer)
        assert (last["reward"], last["terminated"]) == (1.0, True)
        assert "Reward: 1." in last["text"]
        assert (await call("step", action="1"))["text"].startswith("error: The episode is over")

    arguments = [HORIZON, "--mcp", "--policy-name", "guest", "--task", "sum-k2-*"]
    arguments += ["--max-steps", "6", "--out", str(tmp_path / "run")]
    parameters = StdioServerParameters(command=SERVE[0], args=[*SERVE[1:], *arguments])
    play_by_client(stdio_client(parameters), play)
    (trajectory,) = read_trajectories(tmp_path / "run")
    assert trajectory.solved and trajectory.policy_version == "guest"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["policy"] == "guest"


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Start a server on a free port and yield its address."""
    command = [*SERVE, *arguments, "--mcp", "--http", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        lines = []
        while not (lines and lines[-1].startswith("serving ")):
            lines.append(server.stderr.readline())
            assert lines[-1], lines
        yield lines[-1].split()[1]
    finally:
        server.terminate()
        server.communicate(timeout=60)


@needs_mcp
def test_the_tools_of_a_world_over_http(tmp_path: Path) -> None:
    """A tool world whose tools appear at reset, which no client is told."""
    from mcp.client.streamable_http import streamable_http_client

    async def play(client: Any, call: Call) -> None:
        assert len((await client.list_tools()).tools) == 2
        begun = await call("reset", seed=5)
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools[2:]] == [tool["name"] for tool in begun["tools"]]

        env = ToolsEnv()
        env.reset(seed=5, options={"task": begun["task"]})
        last: Mapping[str, Any] = {"terminated": False}
        while not last["terminated"]:
            action = env.oracle()
            calls = parse_calls(action)
            if calls:
                last = await call(calls[0].name, **calls[0].arguments)
            else:
                last = await call("step", action=action)
            assert env.step(action)[0] == last["observation"]
        assert last["reward"] == 1.0
        env.close()

    with served(TOOLS, "--out", str(tmp_path / "run")) as address:
        play_by_client(streamable_http_client(address), play)
    (trajectory,) = read_trajectories(tmp_path / "run")
    assert trajectory.solved


@needs_mcp
def test_our_environment_plays_our_server_over_http() -> None:
    """An HTTP server that MCP-v0 cannot drive."""
    task = Task("sum", "Play sum-k1-t1 with seed 2.")

    def check(task: Task, calls: Any, answer: str, session: Any) -> float:
        assert session.call("step", {"action": "1"}).is_error  # it is over
        return float("Reward: 1." in calls[-1].result.text)

    make = partial(MCPEnv, tasks=[task], checker=check)
    with served(HORIZON) as address, closing(make(url=address)) as env:
        for _ in range(2):
            assert "failure" not in env.reset(seed=0)[1]
            env.step('{"name": "reset", "arguments": {"task": "sum-k1-t1", "seed": 2}}')
            (answer,) = answers("sum-k1-t1", 2)
            call = {"name": "step", "arguments": {"action": answer}}
            assert "Reward: 1." in env.step(json.dumps(call))[0]
            assert env.step("done")[1:3] == (1.0, True)


@needs_mcp
def test_a_server_that_is_gone_in_mid_episode_is_a_failure() -> None:
    """A step that waits for a connection which is not there any more."""
    with served(HORIZON) as address:
        remote = MCPEnv(url=address, tasks=[Task("a")], checker=lambda *_: 1.0, deadline_seconds=20)
        assert "failure" not in remote.reset(seed=0)[1]
    with closing(remote):
        _, reward, _, truncated, info = remote.step('{"name": "reset", "arguments": {}}')
        assert (reward, truncated) == (0.0, True)
        assert info["failure"]["kind"] in ("server_died", "protocol", "deadline"), info
