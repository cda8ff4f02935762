"""Guards MCP-v0 against servers that hang, die, send garbage or leave processes behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.mcp import Answered, MCPEnv
from agentgym_si.envs.mcp_session import McpSession
from agentgym_si.rollouts import rollout
from agentgym_si.types import Task

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mcp") is None, reason="not installed: mcp"
)

TASKS = [Task("only", goal="Do it.")]

FAKE = """
import json, os, sys, time
BEHAVIOUR = sys.argv[1]
def say(request, result):
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    method = request.get("method")
    if BEHAVIOUR == "silent":
        time.sleep(600)
    elif method == "initialize":
        say(request, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                      "serverInfo": {"name": "fake", "version": "1"}})
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"x": {"minimum": "a", "items": [1]}}}
        say(request, {"tools": [{"name": "go", "inputSchema": schema}]})
    elif method == "tools/call":
        if BEHAVIOUR == "hang":
            time.sleep(600)
        elif BEHAVIOUR == "die":
            print("out of cheese", file=sys.stderr)
            sys.exit(3)
        elif BEHAVIOUR == "garbage":
            print("Traceback (most recent call last):", flush=True)
        elif BEHAVIOUR == "lie":
            say(request, {"content": "not a list"})
        elif BEHAVIOUR == "endless":
            while True:
                sys.stdout.write("x" * (1 << 20))
        elif BEHAVIOUR == "child":
            if os.fork() == 0:
                time.sleep(600)
            say(request, {"content": [{"type": "text", "text": str(os.getpgrp())}]})
        elif BEHAVIOUR == "huge":
            say(request, {"content": [{"type": "text", "text": "x" * 3_000_000}]})
        elif BEHAVIOUR == "media":
            say(request, {"content": [
                {"type": "image", "data": "QUJD", "mimeType": "image/png"},
                {"type": "resource_link", "uri": "file:///a", "name": "a"},
                {"type": "resource", "resource": {"uri": "file:///b", "text": "inside b"}},
                {"type": "resource", "resource": {"uri": "file:///c", "blob": "QUJD"}}]})
        elif BEHAVIOUR == "refuse":
            print(json.dumps({"jsonrpc": "2.0", "id": request["id"],
                              "error": {"code": -32603, "message": "broken inside"}}), flush=True)
"""
GO = '{"name": "go", "arguments": {}}'


def all_or_nothing(
    task: Task, calls: Sequence[Answered], answer: str, session: McpSession
) -> float:
    return float(answer)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Any]:
    """Return a function that makes an environment of a server that behaves as named."""
    program = tmp_path / "fake.py"
    program.write_text(FAKE)
    made: list[MCPEnv] = []

    def make(behaviour: str, **options: Any) -> MCPEnv:
        command = [sys.executable, "-I", "-S", str(program), behaviour]
        made.append(MCPEnv(command=command, tasks=TASKS, checker=all_or_nothing, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def gone(group: int) -> bool:
    deadline = time.monotonic() + 20
    while is_alive(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(group)


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("hang", "deadline", "no answer in 0.5 s"),
        ("die", "server_died", "exited 3; it said: out of cheese"),
        ("garbage", "protocol", "got 'Traceback (most recent call last):'"),
        ("lie", "protocol", ""),
        ("endless", "protocol", "a message of over"),
    ],
)
def test_a_broken_server_is_a_failure(fake: Any, behaviour: str, kind: str, message: str) -> None:
    """A hang of ours, a reward, or an exception where the box failed."""
    env = fake(behaviour, deadline_seconds=20)
    assert "failure" not in env.reset(seed=0)[1]
    if behaviour == "hang":
        env.session.deadline_seconds = 0.5
    _, reward, terminated, truncated, info = env.step(GO)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["failure"]["kind"] == kind and message in info["failure"]["message"], info
    assert "failure" not in env.reset(seed=0)[1]  # the next episode has a server of its own


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["no-such-program-of-ours"], "not_started"),
        ([sys.executable, "-c", "print('hello')"], "protocol"),
        ([sys.executable, "-c", "raise SystemExit('no licence')"], "server_died"),
    ],
)
def test_a_server_that_does_not_start_is_a_failure(command: list[str], kind: str) -> None:
    """A reset that raises, or waits for ever."""
    with closing(MCPEnv(command=command, tasks=TASKS, checker=all_or_nothing)) as env:
        _, info = env.reset(seed=0)
        assert info["failure"]["kind"] == kind, info


def test_a_silent_server_meets_the_deadline(fake: Any) -> None:
    """A handshake without an end."""
    began = time.monotonic()
    info = fake("silent", deadline_seconds=0.3).reset(seed=0)[1]
    assert info["failure"] == {"kind": "deadline", "message": "no answer in 0.3 s"}
    assert time.monotonic() - began < 15


def test_no_url_there_is_a_failure() -> None:
    """A connection refused that raises out of reset."""
    url = "http://127.0.0.1:9/mcp"
    with closing(MCPEnv(url=url, tasks=TASKS, checker=all_or_nothing)) as env:
        assert env.reset(seed=0)[1]["failure"]["kind"] in ("not_started", "server_died")


def test_an_address_that_is_silent_meets_the_deadline() -> None:
    """A connection that is accepted and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        env = MCPEnv(url=url, tasks=TASKS, checker=all_or_nothing, deadline_seconds=0.5)
        with closing(env):
            assert env.reset(seed=0)[1]["failure"]["kind"] == "deadline"


def test_results_are_cut_and_media_are_named(fake: Any) -> None:
    """A megabyte in a prompt; an image's base64 shown to a language model."""
    env = fake("huge", most_characters=100)
    env.reset(seed=0)
    assert env.step(GO)[0] == f"{'x' * 100}… (cut: 3000000 characters in all)"
    env = fake("media")
    env.reset(seed=0)
    observation = env.step(GO)[0]
    assert observation.splitlines() == [
        "[image: image/png, about 3 bytes]",
        "[resource: file:///a]",
        "inside b",
        "[resource: unknown type]",
    ]


def test_an_error_that_the_server_answers_is_an_observation(fake: Any) -> None:
    """An agent that ends a losing episode, uncounted, by a call that the server refuses."""
    env = fake("refuse")
    env.reset(seed=0)
    observation, _, _, truncated, info = env.step(GO)
    assert observation == "error: broken inside"
    assert not truncated and "failure" not in info


def test_closing_kills_the_servers_children(fake: Any) -> None:
    """A helper process that outlives its server, one an episode."""
    env = fake("child")
    env.reset(seed=0)
    group = int(env.step(GO)[0])
    assert is_alive(group)
    env.close()
    assert gone(group)


def test_a_killed_owner_leaves_no_server() -> None:
    """A server an episode left behind by every kill -9."""
    program = textwrap.dedent("""
        import asyncio, time
        from agentgym_si.envs import mcp_stdio
        from agentgym_si.envs.mcp import MCPEnv
        start = asyncio.create_subprocess_exec
        async def told(*command, **options):
            process = await start(*command, **options)
            print(process.pid, flush=True)
            return process
        asyncio.create_subprocess_exec = told
        MCPEnv().reset(seed=0)
        time.sleep(600)
    """)
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    group = int(owner.stdout.readline())
    assert is_alive(group)
    owner.send_signal(signal.SIGKILL)
    owner.wait(20)
    owner.stdout.close()
    assert gone(group)


def test_a_fork_gets_servers_of_its_own() -> None:
    """A child that talks to its parent's server, or waits for a thread that it does not have."""
    program = textwrap.dedent("""
        import os
        from agentgym_si.envs.mcp import MCPEnv
        env = MCPEnv("write-0")
        expected = env.reset(seed=0)
        child = os.fork()
        if not child:
            assert env.reset(seed=0) == expected
            assert env.step(env.oracle())[0].endswith("is written")
            env.close()
            os._exit(7)
        assert os.waitpid(child, 0)[1] == 7 << 8
        assert env.step(env.oracle())[0].endswith("is written")
    """)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_the_package_the_command_that_brings_it_is_said() -> None:
    """A traceback of an import in the place of one sentence."""
    program = textwrap.dedent("""
        import sys
        sys.modules["mcp"] = None
        from agentgym_si.envs.mcp import MCPEnv
        from agentgym_si.errors import MissingDependency
        try:
            MCPEnv().reset(seed=0)
        except MissingDependency as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "MCP servers need the mcp package: pip install 'agentgym-si[mcp]'\n"


def test_many_play_at_once() -> None:
    """Answers that reach another environment's episode, or calls that wait for each other."""
    solution = MCPEnv("append-0").all_tasks["append-0"].solution
    trajectories = rollout(
        lambda: MCPEnv("append-0"),
        lambda history: solution[len(history.actions)],
        episodes=6,
        in_flight=3,
    )
    assert all(trajectory.solved for trajectory in trajectories)


def test_an_environment_that_is_forgotten_leaves_no_server(fake: Any) -> None:
    """A server for each environment that nobody closed."""
    command = fake("child").endpoint.command
    env = MCPEnv(command=command, tasks=TASKS, checker=all_or_nothing)
    env.reset(seed=0)
    group = int(env.step(GO)[0])
    del env
    assert gone(group)
