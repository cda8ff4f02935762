"""`WarmPool`: boxes started ahead of time, so that a fresh one costs a check instead of a start."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque

from agentgym_si.errors import BadInput, SandboxError
from agentgym_si.sandboxes.base import Channel, Launcher, Limits
from agentgym_si.sandboxes.guest.frames import BadFrame, encode, read

PING_SECONDS = 5.0
FILLERS = 2
"""Threads that start boxes at once."""


class WarmPool:
    """A launcher that keeps started boxes of another in reserve.

    Args:
        launcher: makes the boxes.
        limits: of every box; `launch` refuses others.
        size: boxes kept in reserve. They are started in the background, at most two at once.
    """

    def __init__(self, launcher: Launcher, limits: Limits, size: int) -> None:
        if size < 1:
            raise BadInput(f"expected a pool of at least 1 box, got {size}")
        self._launcher = launcher
        self._limits = limits
        self._size = size
        self._ready: deque[_Started] = deque()
        self._changed = threading.Condition()
        self._starting = 0
        self._closed = False
        self._process = os.getpid()

    @property
    def tier(self) -> str:
        """See `Sandbox.tier`."""
        return self._launcher.tier

    def launch(self, limits: Limits) -> Channel:
        """Return a box from the reserve that answers, else a new one; raises SandboxError."""
        if limits != self._limits:
            raise BadInput(f"expected the pool's limits {self._limits}, got {limits}")
        if self._process != os.getpid():  # forked off: the reserve belongs to the parent
            return self._launcher.launch(limits)
        while (channel := self._take()) is not None:
            if channel.answers():
                self._fill()
                return channel
            channel.close()
        self._fill()
        return self._launcher.launch(limits)

    def wait(self, seconds: float) -> int:
        """Wait until the reserve is full, at most `seconds`; return how many boxes it holds."""
        self._fill()
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) >= self._size, seconds)
            return len(self._ready)

    def close(self) -> None:
        """End every box in the reserve, those still being started included; never raises."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._starting)
            ready, self._ready = self._ready, deque()
        for channel in ready:
            channel.close()
        self._launcher.close()

    def _take(self) -> _Started | None:
        with self._changed:
            return self._ready.popleft() if self._ready else None

    def _fill(self) -> None:
        """Start as many boxes as are missing, each in a thread of its own."""
        with self._changed:
            missing = self._size - len(self._ready) - self._starting
            for _ in range(0 if self._closed else min(missing, FILLERS - self._starting)):
                self._starting += 1
                threading.Thread(target=self._start, name="sandbox-pool", daemon=True).start()

    def _start(self) -> None:
        try:
            channel = self._launcher.launch(self._limits)
        except SandboxError:  # whoever takes a box next starts one himself and sees the error
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
            return
        with self._changed:
            self._starting -= 1
            unwanted = self._closed
            if not unwanted:
                self._ready.append(_Started(channel))
            self._changed.notify_all()
        if unwanted:
            channel.close()
        else:
            self._fill()


class _Started:
    """A channel whose guest's greeting may be read before it is handed out."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._greeting = b""

    def answers(self) -> bool:
        """Say whether the guest answers; its greeting is kept for whoever takes the box."""
        deadline = time.monotonic() + PING_SECONDS
        nonce = secrets.token_hex(8)
        try:
            greeting, _ = read(lambda count: self._channel.receive(count, deadline), 0)
            self._channel.send(encode({"op": "ping", "nonce": nonce}), deadline)
            answer, _ = read(lambda count: self._channel.receive(count, deadline), 0)
        except (SandboxError, BadFrame):
            return False
        self._greeting = encode(greeting)
        return bool(answer.get("nonce") == nonce)

    def send(self, data: bytes, deadline: float) -> None:
        """See `Channel.send`."""
        self._channel.send(data, deadline)

    def receive(self, count: int, deadline: float) -> bytes:
        """See `Channel.receive`."""
        if self._greeting:
            piece, self._greeting = self._greeting[:count], self._greeting[count:]
            return piece
        return self._channel.receive(count, deadline)

    def close(self) -> None:
        """See `Channel.close`."""
        self._channel.close()
