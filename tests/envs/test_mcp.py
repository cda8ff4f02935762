"""Guards MCP-v0: the bundled server, a public one, tasks and checkers of one's own."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import numpy as np
import pytest

from agentgym_si.audit import audit
from agentgym_si.envs import mcp_notes
from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.mcp import Answered, MCPEnv
from agentgym_si.envs.mcp_notes_tasks import COMMAND
from agentgym_si.envs.mcp_session import Endpoint, McpSession, ToolResult
from agentgym_si.errors import BadInput, EnvFailure
from agentgym_si.rollouts import rollout
from agentgym_si.types import Task

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mcp") is None, reason="not installed: mcp"
)

needs_time_server = pytest.mark.skipif(
    importlib.util.find_spec("mcp_server_time") is None, reason="not installed: mcp-server-time"
)

TASKS = [Task("only", goal="Do it.")]


def all_or_nothing(
    task: Task, calls: Sequence[Answered], answer: str, session: McpSession
) -> float:
    return float(answer)


# The bundled server -----------------------------------------------------------------------


def test_the_audit_of_the_bundled_tasks() -> None:
    """A task that its own solution does not solve, or that a claim does."""
    report = audit(lambda: MCPEnv("*-1"), seeds=1)
    assert report.ok and len(report.tasks) == 6, report
    assert all(row.oracle == 1.0 and row.cheat == row.noop == 0.0 for row in report.tasks)


def test_a_fresh_server_forgets_the_last_episode() -> None:
    """State that leaks from one episode into the next."""
    with closing(MCPEnv("write-0")) as env:
        listed = []
        for _ in range(2):
            env.reset(seed=1)
            listed.append(env.step('{"name": "list_notes", "arguments": {}}')[0])
            assert "is written" in env.step(env.current_task.solution[0])[0]
        assert listed[0] == listed[1] and "lamp" not in listed[0]


def test_calls_are_carried_out_in_order_and_checked_first() -> None:
    """Calls in another order; a mistake in one of them that swallows the others."""
    with closing(MCPEnv("write-0")) as env:
        env.reset(seed=0)
        assert [tool["name"] for tool in env.tools] == list(mcp_notes.TOOLS)
        calls = [
            Call("write_note", {"title": "b", "text": "1"}),
            Call("append_to_note", {"title": "b"}),
            Call("reed_note", {"title": "b"}),
            Call("read_note", {"title": "b"}),
            Call("delete_note", {"title": "no such note"}),
        ]
        observation, reward, terminated, _, info = env.step(
            f"[{', '.join(map(format_call, calls))}]"
        )
        lines = observation.splitlines()
        assert lines[0] == "b is written" and lines[3] == "1"
        assert "expected argument 'line' of type string, got none" in lines[1]
        assert "did you mean read_note" in lines[2]
        assert lines[4] == "error: no note has the title 'no such note'"
        assert (reward, terminated, info["calls"], info["errors"]) == (0.0, False, 3, 1)
        info = env.step(format_call(calls[1]))[4]
        assert info["action_error"].startswith("append_to_note: expected argument 'line'")
        info = env.step(f"[{', '.join([format_call(calls[3])] * 17)}]")[4]
        assert info["action_error"] == "expected at most 16 calls, got 17"


def test_dumping_everything_is_no_answer() -> None:
    """A question whose answer is found by saying every number there is."""
    with closing(MCPEnv("look-up-0")) as env:
        for answer, earned in (("{}", 1.0), ("{} or 12", 0.0), ("12", 0.0), ("It was {}.", 1.0)):
            env.reset(seed=0)
            result = env.step(answer.format(env.current_task.data["asked"]))
            assert result[1:4] == (earned, True, False), answer


def test_the_server_of_the_standard_library_as_a_module() -> None:
    """The documented command line, which a client of anybody's may start."""
    requests = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "x"}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "no"}},
        {"jsonrpc": "2.0", "id": 3, "method": "server/discover"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "agentgym_si.envs.mcp_notes"],
        input="".join(f"{json.dumps(request)}\n" for request in requests),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first["result"]["protocolVersion"] == mcp_notes.VERSIONS[0]
    assert (second["error"]["code"], third["error"]["code"]) == (-32602, -32601)


# Servers, tasks and checkers of one's own -------------------------------------------------


def test_the_checker_sees_calls_results_and_the_state() -> None:
    """A checker that is not told what was done, or cannot look."""
    seen: list[Any] = []

    def check(task: Task, calls: Sequence[Answered], answer: str, session: McpSession) -> float:
        seen.extend([task, *calls, answer, session.call("list_notes")])
        return 0.25

    def begin(task: Task, session: McpSession, rng: np.random.Generator) -> None:
        session.call("write_note", {"title": f"a{rng.integers(10)}", "text": "x"})

    with closing(MCPEnv(command=COMMAND, tasks=TASKS, checker=check, setup=begin)) as env:
        env.reset(seed=0)
        title = f"a{np.random.default_rng(0).integers(10)}"
        env.step(format_call(Call("delete_note", {"title": title})))
        assert env.step("finished")[1:3] == (0.25, True)
    call = Call("delete_note", {"title": title})
    answered = Answered(call, ToolResult(f"{title} is deleted", False))
    assert seen == [TASKS[0], answered, "finished", ToolResult("(none)", False)]


def test_tasks_as_plain_data_and_a_checker_by_name() -> None:
    """Arguments that only Python objects can give, so that no spec or config holds them."""
    tasks = [{"id": "a", "goal": "Say it."}, {"id": "b", "split": "test"}]
    with closing(MCPEnv(command=COMMAND, tasks=tasks, checker="builtins:len", split="test")) as env:
        assert env.task_ids == ["b"]
    for wrong in ({"tasks": TASKS}, {"checker": all_or_nothing}, {"command": COMMAND}):
        with pytest.raises(BadInput, match="expected tasks and"):
            MCPEnv(**wrong)
    for tasks_wrong in ([], [*TASKS, *TASKS], [{"name": "a"}]):
        with pytest.raises(BadInput):
            MCPEnv(tasks=tasks_wrong, checker=all_or_nothing)
    with pytest.raises(BadInput, match="expected module:attribute as checker"):
        MCPEnv(tasks=TASKS, checker="no_such_module:check")
    with pytest.raises(BadInput, match="either the command of an MCP server or its url"):
        MCPEnv(tasks=TASKS, checker=all_or_nothing, command=COMMAND, url="http://127.0.0.1:1")


def test_a_score_outside_its_range_is_a_bug() -> None:
    """A checker in per cent."""
    with closing(MCPEnv(command=COMMAND, tasks=TASKS, checker=all_or_nothing)) as env:
        env.reset(seed=0)
        with pytest.raises(BadInput, match=r"to return 0 to 1, got 50\.0"):
            env.step("50")


def test_a_closed_session_says_so() -> None:
    """A call into a session that was closed, which waits for an answer."""
    session = McpSession(Endpoint(command=COMMAND), 20)
    session.close()
    session.close()
    with pytest.raises(EnvFailure, match="the session is closed"):
        session.call("list_notes")


@contextmanager
def time_server_over_http() -> Iterator[str]:
    """Start the public server on a free port and yield its address once it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = "from mcp_server_time.server import create_server as create; "
    program += f"create('UTC').run('streamable-http', port={port})"
    server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.kill()
        server.wait()


@needs_time_server
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_public_server(transport: str) -> None:
    """A client that only understands our own server."""
    arguments = {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "Asia/Dubai"}
    call = format_call(Call("convert_time", arguments))
    task = Task("zones", "What is noon of Tokyo in Dubai?", solution=(call, "0.5"))
    with ExitStack() as stack:
        where: dict[str, Any] = {
            "command": [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]
        }
        if transport == "http":
            where = {"url": stack.enter_context(time_server_over_http())}
        env = MCPEnv(tasks=[task], checker=all_or_nothing, deadline_seconds=100, **where)
        stack.callback(env.close)
        (trajectory,) = rollout(env, lambda history: task.solution[len(history.actions)])
        assert trajectory.failure is None and trajectory.episode_return == 0.5
        assert "07:00:00+04:00" in trajectory.transitions[1].observation
        assert {tool["name"] for tool in env.tools} == {"get_current_time", "convert_time"}
        env.reset(seed=0)
        wrong = call.replace("Asia/Dubai", "Asia/Nowhere")
        assert env.step(wrong)[0].startswith("error: ")
