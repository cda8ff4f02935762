"""The guest's main process (PID 1 of its box): answers the host, keeps deadlines, kills.

It forks the episode's interpreter from itself with the standard library already loaded, so a reset
costs a fork and a step a message. It never runs untrusted code, opens no file by an untrusted path
without walking it, and needs no fork of its own to kill. When the host's stream ends, it ends, and
with it everything in the box.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from agentgym_si.sandboxes.guest import confine, files
from agentgym_si.sandboxes.guest.children import Children, Settings
from agentgym_si.sandboxes.guest.frames import encode, read
from agentgym_si.sandboxes.guest.running import Running

PRELOADED = (
    *("bisect", "collections", "copy", "dataclasses", "datetime", "enum", "fractions"),
    *("functools", "heapq", "io", "itertools", "json", "math", "operator", "random", "re"),
    *("statistics", "string", "tempfile", "traceback", "typing"),
)
"""Modules of the standard library that an episode finds loaded."""

INTERRUPT_SECONDS = 0.4
"""What a snippet has, after its deadline, to give way to KeyboardInterrupt and keep its state."""
FORK_SECONDS = 5.0
MAX_PAYLOAD = 80 << 20


class Agent:
    """One box's agent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = Children(settings)
        self._operations: dict[str, Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]]
        self._operations = {
            "ping": lambda header, payload: ({}, b""),
            "python": self._python,
            "program": self._program,
            "read": self._read,
            "write": self._write,
            "snapshot": self._snapshot,
            "reset": self._reset,
        }

    def serve(self) -> NoReturn:
        """Answer the host until it hangs up."""
        self._say({"ready": True, "python": sys.version.split()[0]})
        while True:
            header, payload = read(self._take, MAX_PAYLOAD)
            if header["op"] == "answer":  # to a call of a snippet that is dead by now
                continue
            try:
                answer, data = self._operations[header["op"]](header, payload)
            except files.FileError as error:
                answer, data = {"file_error": str(error)}, b""
            except (OSError, MemoryError, RuntimeError) as error:
                answer, data = {"failed": f"{type(error).__name__}: {error}"}, b""
            self._say({**answer, "nonce": header["nonce"]}, data)

    # Operations -----------------------------------------------------------------------------

    def _python(self, header: dict[str, Any], source: bytes) -> tuple[dict[str, Any], bytes]:
        died = self._children.interpreter_died()  # between two snippets, of a timer say
        interpreter = self._children.interpreter()
        running = Running(interpreter.output, self._settings.output_bytes)
        running.to_child = bytearray(encode({"op": "run", "nonce": header["nonce"]}, source))
        running.control = interpreter.control
        began = time.monotonic()
        code: int | None = None
        timed_out = False
        if self._wait(running, header["nonce"], began + header["seconds"], interpreter.pid):
            code = running.exit_code
        elif self._children.alive(interpreter.pid):
            timed_out = True
            os.kill(interpreter.pid, signal.SIGINT)
            until = time.monotonic() + INTERRUPT_SECONDS
            kept = self._wait(running, header["nonce"], until, interpreter.pid)
            self._children.kill_others({interpreter.pid} if kept else set())
        lost = not self._children.alive(interpreter.pid)
        if lost:
            running.drain()
            status = self._children.forget_interpreter()
            # An interpreter that ends itself has not succeeded, whatever code it left.
            code = None if timed_out else status if status else 1
        answer = {"exit_code": code, "timed_out": timed_out, "state_lost": lost or died}
        return self._result(answer, running, began)

    def _program(self, header: dict[str, Any], stdin: bytes) -> tuple[dict[str, Any], bytes]:
        began = time.monotonic()
        pid, output = self._children.start_program(header["argv"], stdin)
        running = Running(output, self._settings.output_bytes)
        timed_out = not self._wait(running, header["nonce"], began + header["seconds"], pid)
        if timed_out:
            self._children.kill_others(self._children.interpreter_pids())
            running.drain()
        code = self._children.take_status(pid)
        running.close()
        answer = {"exit_code": None if timed_out else code, "timed_out": timed_out}
        return self._result({**answer, "state_lost": False}, running, began)

    def _result(
        self, answer: dict[str, Any], running: Running, began: float
    ) -> tuple[dict[str, Any], bytes]:
        out, err = running.kept
        answer.update(cut=running.cut, seconds=time.monotonic() - began, stdout_bytes=len(out))
        return answer, bytes(out + err)

    def _read(self, header: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        return {}, files.read(self._settings.work, header["path"], header["max_bytes"])

    def _write(self, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        files.write(self._settings.work, header["path"], data)
        return {}, b""

    def _snapshot(self, header: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        archive = files.pack(self._settings.work, self._settings.disk_mib << 20)
        number = self._children.save_interpreter(time.monotonic() + FORK_SECONDS)
        return {"interpreter": number}, archive

    def _reset(self, header: dict[str, Any], archive: bytes) -> tuple[dict[str, Any], bytes]:
        number = header["interpreter"]
        if number is not None and not self._children.has_saved(number):
            return {"gone": True}, b""
        keep = set() if number is None else self._children.saved_pids()
        killed, left = self._children.kill_others(keep)
        self._children.forget_interpreter()
        if number is None:
            self._children.forget_saved()
        left += sum(map(files.wipe, [self._settings.work, *self._settings.temporary]))
        if number is not None:
            files.unpack(self._settings.work, archive)
        self._children.new_interpreter(header["seed"], number, time.monotonic() + FORK_SECONDS)
        return {"killed": killed, "left": left}, b""

    # Waiting --------------------------------------------------------------------------------

    def _wait(self, running: Running, nonce: str, deadline: float, pid: int) -> bool:
        """Serve a running snippet or program; return whether it ended in time and in order."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            events = running.poll(left, self._children.wakeup)
            if events.host:
                self._from_host(running, nonce)
            for call in events.calls:
                self._say({"nonce": nonce, "call": True}, call)
            if events.child:
                self._children.reap()
            if running.done_nonce == nonce:
                running.drain()
                return True
            if running.broken:  # what answers there is no interpreter of ours any more
                self._children.kill_one(pid)
            if not self._children.alive(pid):
                running.drain()
                return running.control is None

    def _from_host(self, running: Running, nonce: str) -> None:
        header, payload = read(self._take, MAX_PAYLOAD)
        if header["op"] == "answer" and header["nonce"] == nonce:
            error = {"error": header["error"]} if "error" in header else {}
            running.to_child += encode({"op": "answer", **error}, payload)

    # The host's stream ----------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < count:
            piece = os.read(0, min(count - len(pieces), 1 << 20))
            if not piece:
                self._end()
            pieces += piece
        return bytes(pieces)

    def _say(self, header: dict[str, Any], payload: bytes = b"") -> None:
        view = memoryview(encode(header, payload))
        try:
            while view:
                view = view[os.write(1, view) :]
        except BrokenPipeError:
            self._end()

    def _end(self) -> NoReturn:
        """End the box: in a process namespace all of it goes with its first process."""
        self._children.kill_others(set())
        os._exit(0)


def main() -> NoReturn:
    """Serve the host on standard input and output, as `sys.argv[2]` (JSON) says."""
    settings = Settings(**json.loads(sys.argv[2]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    if not settings.namespaced:
        confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    confine.install_filter(
        confine.machine_program(
            network=settings.network,
            # Without a mount namespace an engine's socket may be in reach.
            local=settings.namespaced,
        )
    )
    for name in PRELOADED:
        importlib.import_module(name)
    agent = Agent(settings)
    gc.collect()
    gc.freeze()
    agent.serve()
