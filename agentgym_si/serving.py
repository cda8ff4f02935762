"""Floor 6: an environment as an MCP server, so that an outside agent plays and the record is kept.

The server's tools are `reset`, `step` and, where actions are calls of tools, those tools too.
One server plays one episode at a time, whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from agentgym_si.envs.calls import Call, format_call
from agentgym_si.errors import ActionError, AgentGymError, BadInput, MissingDependency
from agentgym_si.rollouts import Episode, TextGymEnv
from agentgym_si.rollouts import Slot as Slot
from agentgym_si.store import Run
from agentgym_si.types import Action, Costs, Trajectory

if TYPE_CHECKING:
    import socket

    from mcp.server.lowlevel import Server

RESET: Mapping[str, Any] = {
    "name": "reset",
    "description": "Begin an episode; one that is not over is given up. Answers with what to do.",
    "parameters": {
        "type": "object",
        "properties": {
            "task": {"type": "string", "description": "a task's id; left out: one is drawn"},
            "seed": {"type": "integer", "minimum": 0, "description": "left out: the next one"},
        },
        "additionalProperties": False,
    },
}

STEP: Mapping[str, Any] = {
    "name": "step",
    "description": "Carry an action out. Answers with what is observed then.",
    "parameters": {
        "type": "object",
        "properties": {"action": {"type": "string", "description": "the action's text"}},
        "required": ["action"],
        "additionalProperties": False,
    },
}

OVER = "The episode is over: call reset to begin another."


class Played:
    """The episodes that an outside agent plays in an environment; use it in one thread.

    Args:
        make: returns the environment.
        record: where each episode is stored as soon as it ends; None to keep none.
        policy_name: what the records call the agent.
        seed: of the first episode that names none; the next ones count up.
    """

    def __init__(
        self,
        make: Callable[[], TextGymEnv],
        record: Run | None = None,
        *,
        policy_name: str = "outside",
        seed: int = 0,
    ) -> None:
        """Make the environment."""
        self.env = make()
        self.record = record
        self.policy_name = policy_name
        self._stored = 0 if record is None else len(record.ids)
        self._seed = seed + self._stored
        self._slot: Slot | None = None
        self._answered_at = 0.0

    def tools(self) -> list[Mapping[str, Any]]:
        """Return `reset`, `step`, and the environment's own tools as the running episode has them.

        A tool of the environment that is called like one of ours can be called by `step` only.
        """
        own = getattr(self.env.unwrapped, "tools", ())
        ours = (RESET, STEP)
        return [*ours, *(tool for tool in own if tool["name"] not in ("reset", "step"))]

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Play one call; return what `step` returns in Gymnasium, without info.

        After `reset` the environment's instructions, its tools, the task's id and the seed are
        beside it. Raises AgentGymError for a call that cannot be played; the episode goes on.
        """
        if name == "reset":
            return self._reset(**_checked(arguments, {"task": str, "seed": int}))
        if name == "step":
            return self._step(
                **_checked({**arguments, "action": arguments.get("action")}, {"action": str})
            )
        if name not in {tool["name"] for tool in self.tools()}:
            raise ActionError(f"unknown tool {name!r}")
        return self._step(format_call(Call(name, dict(arguments))))

    def close(self) -> None:
        """Give a running episode up, store it, and close the environment."""
        self._give_up()
        self.env.close()

    def _reset(self, task: str | None = None, seed: int | None = None) -> dict[str, Any]:
        self._give_up()
        chosen = self._seed if seed is None else seed
        episode = Episode(f"serve/{self._stored}", chosen, task)
        slot = Slot(0, self.env, episode, frozenset())
        slot.begin()
        self._slot = slot
        if seed is None:
            self._seed += 1
        history = slot.history()
        said = {"instructions": history.instructions, "tools": [*history.tools]}
        return {**said, "task": slot.task_id, "seed": chosen, **self._answer(slot)}

    def _step(self, action: str) -> dict[str, Any]:
        if self._slot is None:
            raise ActionError(OVER)
        waited = time.perf_counter() - self._answered_at
        self._slot.costs += Costs(model_seconds=waited, calls=1)
        self._slot.next_action = Action(action)
        self._slot.step()
        return self._answer(self._slot)

    def _answer(self, slot: Slot) -> dict[str, Any]:
        last = slot.transitions[-1] if slot.transitions else None
        answer: dict[str, Any] = {
            "observation": slot.observations[-1],
            "reward": last.reward if last else 0.0,
            "terminated": bool(last and last.terminated),
            "truncated": bool(last and last.truncated) or slot.failure is not None,
        }
        if slot.failure is not None:
            answer["failure"] = {"kind": slot.failure.kind, "message": slot.failure.message}
        if slot.over:
            self._store(slot.trajectory(self.policy_name))
            self._slot = None
        self._answered_at = time.perf_counter()
        return answer

    def _give_up(self) -> None:
        """Store an episode that the agent left as truncated: leaving must not improve its score."""
        slot, self._slot = self._slot, None
        if slot is not None and slot.transitions:
            slot.transitions[-1] = replace(slot.transitions[-1], truncated=True)
            self._store(slot.trajectory(self.policy_name))

    def _store(self, trajectory: Trajectory) -> None:
        self._stored += 1
        if self.record is not None:
            self.record.append(trajectory)


def _checked(arguments: Mapping[str, Any], kinds: Mapping[str, type]) -> dict[str, Any]:
    for name, value in arguments.items():
        if name not in kinds:
            raise ActionError(f"expected only {', '.join(kinds)}, got {name[:40]!r}")
        wrong = not isinstance(value, kinds[name]) or isinstance(value, bool)
        if wrong or (kinds[name] is int and value < 0):
            kind = {str: "a text", int: "an integer of 0 or more"}[kinds[name]]
            raise ActionError(f"expected {name} to be {kind}, got {str(value)[:40]!r}")
    return dict(arguments)


# The server -------------------------------------------------------------------------------


def make_server(played: Callable[[], Played], thread: ThreadPoolExecutor) -> Server[Any]:
    """Return an MCP server of the low-level kind that plays in `thread`.

    Args:
        played: returns what is played, always the same; called in the thread.
        thread: of one worker, because an environment belongs to the thread that made it.

    Raises:
        MissingDependency: where the `mcp` package is not installed.
    """
    try:
        from mcp import types
        from mcp.server.lowlevel import Server
    except ImportError as missing:
        raise MissingDependency(
            "serving over MCP needs the mcp package: pip install 'agentgym-si[mcp]'"
        ) from missing

    async def run(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        tools = await run(lambda: played().tools())
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool["name"],
                    description=tool.get("description", ""),
                    input_schema=dict(tool["parameters"]),
                )
                for tool in tools
            ]
        )

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        def play() -> tuple[dict[str, Any], bool]:
            before = played().tools()
            answer = played().call(params.name, params.arguments or {})
            return answer, played().tools() != before

        try:
            answer, changed = await run(play)
        except (AgentGymError, gym.error.Error) as error:
            said = types.TextContent(text=f"error: {error}")
            return types.CallToolResult(content=[said], is_error=True)
        if changed:
            await context.session.send_tool_list_changed()
        text = types.TextContent(text=_as_text(answer))
        return types.CallToolResult(content=[text], structured_content=answer)

    return Server("agentgym-si", on_list_tools=list_tools, on_call_tool=call_tool)


def _as_text(answer: Mapping[str, Any]) -> str:
    parts = [answer["instructions"]] if answer.get("instructions") else []
    if answer.get("tools"):
        parts.append("\n".join(json.dumps(tool, ensure_ascii=False) for tool in answer["tools"]))
    parts.append(answer["observation"])
    if "failure" in answer:
        parts.append(f"The box failed ({answer['failure']['kind']}); this episode does not count.")
    if answer["terminated"] or answer["truncated"]:
        parts.append(f"{OVER} Reward: {answer['reward']:g}.")
    return "\n\n".join(parts)


def serve(
    make: Callable[[], TextGymEnv],
    record: Run | None,
    *,
    policy_name: str = "outside",
    seed: int = 0,
    listener: socket.socket | None = None,
) -> None:
    """Serve an environment until the client hangs up or the process is stopped.

    Args:
        make: returns the environment.
        record: see `Played`.
        policy_name: see `Played`.
        seed: see `Played`.
        listener: a bound socket to serve streamable HTTP on, at `/mcp`; None for stdio.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        played = thread.submit(Played, make, record, policy_name=policy_name, seed=seed).result()
        try:
            server = make_server(lambda: played, thread)
            if listener is None:
                asyncio.run(_serve_stdio(server))
            else:
                _serve_http(server, listener)
        finally:
            thread.submit(played.close).result()


async def _serve_stdio(server: Server[Any]) -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _serve_http(server: Server[Any], listener: socket.socket) -> None:
    import uvicorn

    if not listener.getsockname()[0].startswith("127."):
        raise BadInput(f"expected a socket of 127.0.0.1, got one of {listener.getsockname()[0]}")
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on")).run(sockets=[listener])
