"""The live interpreter of an episode: runs snippets one after the other in one namespace.

Untrusted code shares this process, so nothing it reports is believed; the agent, another process,
keeps the deadline and the limits.
"""

from __future__ import annotations

import builtins
import contextlib
import linecache
import os
import random
import signal
import socket
import sys
import traceback
import types
from typing import Any

from agentgym_si.sandboxes.guest.frames import encode, read

MAX_CALL_BYTES = 64 << 20


class Interpreter:
    """Answers the agent's frames: run a snippet, or fork a copy of everything as it is."""

    def __init__(self, control: socket.socket, seed: int) -> None:
        self._control = control
        self._snippets = 0
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        host = types.ModuleType("agentgym_host", "What a snippet may ask of the host.")
        host.__dict__["call"] = self._call
        sys.modules["agentgym_host"] = host
        random.seed(seed)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def serve(self) -> None:
        """Answer until the agent hangs up."""
        while True:
            try:
                header, payload = read(self._take, MAX_CALL_BYTES)
            except EOFError:
                os._exit(0)
            except KeyboardInterrupt:  # a deadline that came a moment too late
                continue
            if header["op"] == "fork":
                self._fork()
            elif header["op"] == "run":  # else an answer to a call that nobody waits for
                self._answer({"nonce": header["nonce"], "exit_code": self._run(payload)})

    def _run(self, source: bytes) -> int:
        self._snippets += 1
        name = f"<snippet {self._snippets}>"
        try:
            text = source.decode()
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec"), self._main.__dict__)
            return 0
        except SystemExit as stop:
            return self._exit_code(stop.code)
        except BaseException as error:
            self._report(error)
            return 1
        finally:
            self._flush()

    def _exit_code(self, code: object) -> int:
        if code is None:
            return 0
        if isinstance(code, int):
            return int(code) & 0xFF
        print(code, file=sys.stderr)
        return 1

    def _report(self, error: BaseException) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        try:
            traceback.print_exception(type(error), error, trace, limit=-30)
        except BaseException as broken:  # an exception whose own text raises
            os.write(2, f"{type(error).__name__} ({type(broken).__name__} in its text)\n".encode())

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                continue  # the snippet closed or replaced it: its own output is what it loses

    def _call(self, data: bytes) -> bytes:
        """Return the host's answer to `data`; raises RuntimeError where the host gives none."""
        self._answer({"call": True}, bytes(data))
        header, payload = read(self._take, MAX_CALL_BYTES)
        if "error" in header:
            raise RuntimeError(header["error"])
        return payload

    def _fork(self) -> None:
        """Fork; the copy answers on the descriptor that came along, this one goes on."""
        _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        between = os.fork()
        if between == 0:
            if os.fork() != 0:
                os._exit(0)  # so that the copy is the agent's child, who waits for it
            self._control.close()
            self._control = socket.socket(fileno=descriptors[0])
            self._answer({"pid": os.getpid()})
        else:
            os.close(descriptors[0])
            with contextlib.suppress(ChildProcessError):  # a snippet may ignore SIGCHLD
                os.waitpid(between, 0)

    def _answer(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self._control.sendall(encode(header, payload))

    def _take(self, count: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < count:
            piece = self._control.recv(count - len(pieces))
            if not piece:
                raise EOFError
            pieces += piece
        return bytes(pieces)
