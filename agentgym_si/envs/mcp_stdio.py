"""An MCP server as a process of our own: its pipes as the streams that the client reads and writes.

The official transport closes a server politely but keeps its children, reads lines of any length
and says nothing of why a server ended; here each of these is a reason that a failure can name.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agentgym_si.errors import EnvFailure

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Reading = MemoryObjectReceiveStream[SessionMessage | Exception]
    Writing = MemoryObjectSendStream[SessionMessage]

MOST_LINE_BYTES = 32 << 20
"""Bytes in one message of a server, at most."""

EXIT_SECONDS = 2.0
"""How long a server may take to end by itself once its input is closed."""

_POLL_SECONDS = 0.005
_STDERR_CHARACTERS = 400


@asynccontextmanager
async def open_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str | None,
    note: Callable[[EnvFailure], None],
) -> AsyncIterator[tuple[Reading, Writing]]:
    """Start a server in a process group of its own and yield its streams; kill the group after.

    Args:
        command: the program and its arguments.
        environment: all of the server's environment variables.
        folder: its working folder; None for ours.
        note: told why the connection ended, before the session is.

    Raises:
        EnvFailure: "not_started", where there is no such program.
    """
    import anyio
    from anyio import create_memory_object_stream

    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            limit=MOST_LINE_BYTES,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise EnvFailure("not_started", f"{command[0]} cannot be started: {error}") from error
    into, reading = create_memory_object_stream["SessionMessage | Exception"](0)
    writing, out = create_memory_object_stream["SessionMessage"](0)
    said: list[str] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_listen, process, said)
            tasks.start_soon(_read, process, into, said, note)
            tasks.start_soon(_write, process, out)
            try:
                yield reading, writing
            finally:
                with anyio.CancelScope(shield=True):
                    await _stop(process)
                tasks.cancel_scope.cancel()
    finally:
        for stream in (into, reading, writing, out):
            stream.close()


async def _read(
    process: asyncio.subprocess.Process,
    into: MemoryObjectSendStream[SessionMessage | Exception],
    said: Sequence[str],
    note: Callable[[EnvFailure], None],
) -> None:
    """Pass the server's messages on until it ends, or says what is none."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    assert process.stdout is not None
    async with into:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                note(EnvFailure("protocol", f"a message of over {MOST_LINE_BYTES} bytes"))
                return
            if not line:
                await _exited(process, 0.5)  # else its status would not be known yet
                note(EnvFailure("server_died", _epitaph(process, said)))
                return
            if not line.strip():
                continue
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                got = line[:80].decode(errors="replace").strip()
                note(EnvFailure("protocol", f"expected a JSON-RPC message, got {got!r}"))
                return
            try:
                await into.send(SessionMessage(message))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the session is over


async def _write(
    process: asyncio.subprocess.Process, out: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the reader says why
        async for sent in out:
            text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode())
            await process.stdin.drain()


async def _listen(process: asyncio.subprocess.Process, said: list[str]) -> None:
    """Keep the end of what the server says to people; an unread pipe would block it."""
    assert process.stderr is not None
    while data := await process.stderr.read(1 << 16):
        said[:] = ["".join([*said, data.decode(errors="replace")])[-_STDERR_CHARACTERS:]]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the server's input, give it time to end, and kill its whole group."""
    assert process.stdin is not None
    process.stdin.close()
    await _exited(process, EXIT_SECONDS)
    kill_group(process.pid)
    await _exited(process, EXIT_SECONDS)
    # A grandchild in a group of its own may hold the pipes: they are closed on our side at least.
    process._transport.close()  # type: ignore[attr-defined]


def kill_group(leader: int) -> None:
    """Kill the processes of a group; none may be left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def _exited(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Wait for the end of the process itself; `wait` would wait for its pipes too."""
    deadline = asyncio.get_running_loop().time() + seconds
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)


def _epitaph(process: asyncio.subprocess.Process, said: Sequence[str]) -> str:
    status = "closed its output" if process.returncode is None else f"exited {process.returncode}"
    last = "".join(said).strip().rpartition("\n")[2]
    return f"the server {status}{f'; it said: {last}' if last else ''}"
