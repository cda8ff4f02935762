"""One running snippet or program: what it prints, what it says, and what is sent to it."""

from __future__ import annotations

import os
import select
import socket
from typing import NamedTuple

from agentgym_si.sandboxes.guest.frames import BadFrame, Buffer

PIECE = 1 << 16
MOST_PIECES = 64
"""Pieces read from one stream at a time; a program that floods must not hold the agent."""
MAX_CONTROL_BYTES = 64 << 20


class Events(NamedTuple):
    """What a poll found."""

    host: bool
    child: bool
    calls: list[bytes]


class Running:
    """The streams of what runs; `control` is None for a program."""

    def __init__(self, output: tuple[int, int], output_bytes: int) -> None:
        self.kept = (bytearray(), bytearray())
        self.cut = False
        self.control: socket.socket | None = None
        self.to_child = bytearray()
        """Bytes that wait to be sent to the interpreter."""
        self.done_nonce: str | None = None
        self.exit_code: int | None = None
        self.broken = False
        """Whether what came from the interpreter is no frame of its protocol."""
        self._open = dict(zip(output, self.kept, strict=True))
        self._output = output
        self._output_bytes = output_bytes
        self._frames = Buffer(MAX_CONTROL_BYTES)

    def poll(self, seconds: float, wakeup: int) -> Events:
        """Wait for whatever comes first and take it; the host's frame is left to the caller."""
        readable: list[int | socket.socket] = [0, wakeup, *self._open]
        writable: list[socket.socket] = []
        if self.control is not None and not self.broken:
            readable.append(self.control)
            writable = [self.control] if self.to_child else []
        ready, sendable, _ = select.select(readable, writable, [], seconds)
        for descriptor in list(self._open):
            if descriptor in ready:
                self._take_output(descriptor)
        calls: list[bytes] = []
        if self.control is not None:
            if sendable:
                self._send(self.control)
            if self.control in ready:
                calls = self._listen(self.control)
        if wakeup in ready:
            os.read(wakeup, PIECE)
        return Events(0 in ready, wakeup in ready, calls)

    def drain(self) -> None:
        """Take what is in the pipes by now."""
        for descriptor in list(self._open):
            self._take_output(descriptor)

    def close(self) -> None:
        """Close the pipes of a program that has ended."""
        for descriptor in self._output:
            os.close(descriptor)

    def _take_output(self, descriptor: int) -> None:
        kept = self._open[descriptor]
        for _ in range(MOST_PIECES):
            try:
                piece = os.read(descriptor, PIECE)
            except BlockingIOError:
                return
            if not piece:
                del self._open[descriptor]
                return
            room = self._output_bytes - len(kept)
            kept += piece[:room]
            self.cut = self.cut or len(piece) > room

    def _send(self, control: socket.socket) -> None:
        try:
            sent = control.send(self.to_child[: 1 << 20], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            return
        del self.to_child[:sent]

    def _listen(self, control: socket.socket) -> list[bytes]:
        calls: list[bytes] = []
        try:
            piece = control.recv(1 << 20, socket.MSG_DONTWAIT)
            if not piece:
                raise BadFrame("the interpreter hung up")
            self._frames.add(piece)
            while (frame := self._frames.next()) is not None:
                header, payload = frame
                if header.get("call") is True:
                    calls.append(payload)
                else:
                    self.done_nonce = str(header["nonce"])
                    self.exit_code = int(header["exit_code"])
        except BlockingIOError:
            return calls
        except (BadFrame, OSError, KeyError, TypeError, ValueError, OverflowError):
            self.broken = True
        return calls
