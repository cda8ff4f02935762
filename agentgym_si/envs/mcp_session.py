"""A session with an MCP server, behind synchronous calls with a deadline each.

The official client is asynchronous: it runs in one daemon thread with an event loop of its own, so
a call works from any thread, inside a running loop, and after a fork (the child gets a new thread).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agentgym_si.envs.mcp_stdio import open_process
from agentgym_si.errors import BadInput, EnvFailure, MissingDependency

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult, Tool

T = TypeVar("T")

GRACE_SECONDS = 8.0
"""How long the thread may take beyond a deadline; a server that will not end is killed by then."""

MOST_TOOLS = 1000


class ToolResult(NamedTuple):
    """What a server answered to a call."""

    text: str
    """Its text; images, sounds and resources are named, not shown."""
    is_error: bool
    """Whether the server called it an error; it is alive and said so."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server is: a program to start, or an address; exactly one of them."""

    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beyond the few (PATH, HOME …) that every server inherits."""
    folder: str | None = None
    """Working folder of the program; None for ours."""

    def __post_init__(self) -> None:
        """Check that there is one of the two."""
        if bool(self.command) == bool(self.url):
            raise BadInput(
                "expected either the command of an MCP server or its url, got "
                f"command={list(self.command)!r} and url={self.url!r}"
            )


class McpSession:
    """An open connection to a server, with its tools listed.

    Args:
        endpoint: where the server is; a program is started for this session alone.
        deadline_seconds: how long the server may take to start, and for each answer.

    Raises:
        EnvFailure: kind "not_started", "deadline", "server_died" or "protocol"; here and from
            `call`, after which the session is closed.
        MissingDependency: where the `mcp` package is not installed.
    """

    def __init__(self, endpoint: Endpoint, deadline_seconds: float) -> None:
        """Connect, shake hands and list the tools."""
        self.endpoint = endpoint
        self.deadline_seconds = deadline_seconds
        self.tools: tuple[Mapping[str, Any], ...] = ()
        """The server's tools as `{"name", "description", "parameters"}`."""
        self._thread = _thread()
        self._reason: EnvFailure | None = None
        self._client: ClientSession | None = None
        self._keeper: asyncio.Task[None] | None = None
        try:
            self._thread.call(self._open(), deadline_seconds)
        except EnvFailure:
            self.close()
            raise

    def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> ToolResult:
        """Call a tool; an error that the server answers is a result, see the class for others."""
        if self._client is None:
            raise self._reason or EnvFailure("server_died", "the session is closed")
        try:
            return self._thread.call(
                self._call(self._client, name, dict(arguments or {})), self.deadline_seconds
            )
        except EnvFailure:
            self.close()
            raise

    def close(self) -> None:
        """End the session and the server's processes; safe to call again."""
        self._note(EnvFailure("server_died", "the session is closed"))
        self._client = None
        if self._keeper is not None and self._thread.works:
            # A server that will not say goodbye in time (over HTTP) is left to itself.
            with contextlib.suppress(EnvFailure):
                self._thread.call(_end(self._keeper), GRACE_SECONDS)
        self._keeper = None

    def forget(self) -> None:
        """End the session without waiting: for garbage collection, which any thread may do."""
        if self._keeper is not None and self._thread.works:
            self._thread.cancel(self._keeper)

    # Inside the thread --------------------------------------------------------------------

    async def _open(self) -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(opened))
        self._thread.keep(self._keeper)
        await opened

    async def _keep(self, opened: asyncio.Future[None]) -> None:
        """Hold the connection open: the client's scopes must be left by the task that entered."""
        try:
            async with AsyncExitStack() as stack:
                client = await self._connect(stack)
                listed = await _list_tools(client)
                self.tools = tuple(map(_schema, listed))
                self._client = client
                opened.set_result(None)
                await asyncio.Event().wait()  # until it is cancelled
        except Exception as error:
            self._client = None
            failure = self._failure(error, "not_started")
            self._reason = self._reason or failure
            if not opened.done():
                opened.set_exception(failure)

    async def _connect(self, stack: AsyncExitStack) -> ClientSession:
        from mcp import ClientSession
        from mcp.client.stdio import get_default_environment
        from mcp.client.streamable_http import streamable_http_client

        if self.endpoint.url:
            transport: Any = streamable_http_client(self.endpoint.url)
        else:
            environment = {**get_default_environment(), **self.endpoint.environment}
            command, folder = self.endpoint.command, self.endpoint.folder
            transport = open_process(command, environment, folder, self._note)
        read, write = await stack.enter_async_context(transport)
        client: ClientSession = await stack.enter_async_context(ClientSession(read, write))
        await client.initialize()  # the handshake, not `discover`: only it opens a session
        return client

    def _note(self, reason: EnvFailure) -> None:
        self._reason = self._reason or reason

    async def _call(
        self, client: ClientSession, name: str, arguments: dict[str, Any]
    ) -> ToolResult:
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        try:
            return _read_result(await client.call_tool(name, arguments))
        except MCPError as error:
            if error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT):
                raise self._failure(error, "server_died") from error
            return ToolResult(error.message, True)
        except Exception as error:  # what the client cannot read is of many kinds
            raise self._failure(error, "protocol") from error

    def _failure(self, error: Exception, kind: str) -> EnvFailure:
        """Return why the connection ended: what was noted, else what the client says."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if self._reason is not None or isinstance(error, EnvFailure):
            return self._reason or error  # type: ignore[return-value]
        message = " ".join(str(error).split())[:300] or type(error).__name__
        return EnvFailure("protocol" if isinstance(error, ValueError) else kind, message)


async def _list_tools(client: ClientSession) -> Sequence[Tool]:
    from mcp.types import PaginatedRequestParams

    tools: list[Tool] = []
    cursor: str | None = None
    while len(tools) < MOST_TOOLS:
        page = await client.list_tools(params=PaginatedRequestParams(cursor=cursor))
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools[:MOST_TOOLS]


def _schema(tool: Tool) -> Mapping[str, Any]:
    description = tool.description or tool.title or ""
    return {"name": tool.name, "description": description, "parameters": tool.input_schema}


def _read_result(result: CallToolResult) -> ToolResult:
    texts = []
    for block in result.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "resource":
            kind = block.resource.mime_type or "unknown type"
            texts.append(getattr(block.resource, "text", f"[resource: {kind}]"))
        elif block.type == "resource_link":
            texts.append(f"[resource: {block.uri}]")
        else:
            size = len(block.data) * 3 // 4
            texts.append(f"[{block.type}: {block.mime_type}, about {size} bytes]")
    return ToolResult("\n".join(texts), bool(result.is_error))


# The thread -------------------------------------------------------------------------------


class _Thread:
    """An event loop in a thread of its own, and the connections that it holds."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._keepers: set[asyncio.Task[None]] = set()
        self._runner = threading.Thread(target=self._run, name="agentgym-si mcp", daemon=True)
        self._runner.start()

    @property
    def works(self) -> bool:
        """Whether it is of this process and runs."""
        return self.process == os.getpid() and self._runner.is_alive()

    def call(self, work: Coroutine[Any, Any, T], deadline_seconds: float) -> T:
        """Run a coroutine there and return its result; raises EnvFailure "deadline"."""
        if not self.works:
            work.close()
            raise EnvFailure("server_died", "the session belongs to another process")
        future = asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(work, deadline_seconds), self._loop
        )
        try:
            return future.result(deadline_seconds + GRACE_SECONDS)
        except TimeoutError as late:
            future.cancel()
            raise EnvFailure("deadline", f"no answer in {deadline_seconds:g} s") from late
        except CancelledError as gone:
            raise EnvFailure("server_died", "the session was closed meanwhile") from gone

    def keep(self, keeper: asyncio.Task[None]) -> None:
        """Hold on to a connection's task until it ends."""
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    def cancel(self, keeper: asyncio.Task[None]) -> None:
        """End a connection, without waiting for it."""
        self._loop.call_soon_threadsafe(keeper.cancel)

    def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(EnvFailure):
            self.call(_end(*self._keepers), GRACE_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_current: _Thread | None = None
_guard = threading.Lock()


def _thread() -> _Thread:
    """Return this process's thread."""
    global _current
    try:
        import mcp  # noqa: F401
    except ImportError as missing:
        raise MissingDependency(
            "MCP servers need the mcp package: pip install 'agentgym-si[mcp]'"
        ) from missing
    with _guard:
        if _current is None or not _current.works:
            # What the client says of a lost server is in info["failure"], not on the terminal.
            logging.getLogger("mcp").addHandler(logging.NullHandler())
            _current = _Thread()
            atexit.register(_current.close)
        return _current


def _forget_after_fork() -> None:
    """Drop the parent's lock: the thread that held it does not exist here."""
    global _guard
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
