"""`Box`: the contract kept, for every tier, by talking to the guest in it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from typing import Any, Self

from agentgym_si.errors import (
    BadInput,
    MissingCapability,
    SandboxError,
    SandboxFileError,
)
from agentgym_si.sandboxes.base import (
    MAX_MESSAGE_BYTES,
    Channel,
    ExecResult,
    Launcher,
    Limits,
    OnCall,
    Reuse,
    Snapshot,
)
from agentgym_si.sandboxes.guest.frames import BadFrame, encode, read

START_SECONDS = 60.0
GRACE_SECONDS = 20.0
"""What the guest has beyond a deadline of its own; only a box that is stuck meets it."""
EPISODES = 1000
"""Episodes after which a box is replaced, whatever it looks like."""
MAX_ANSWER_BYTES = 256 << 20


class Box:
    """A sandbox (see `base.Sandbox`) whose guest a launcher starts.

    Args:
        launcher: makes the boxes; may be a `pool.WarmPool`. Closed with the box where `owned`.
        limits: what a box may use.
        reuse: see `base.Reuse`. A box with a leftover, or whose interpreter died, is replaced
            whatever this says.
        owned: whether the launcher is this box's own.
    """

    def __init__(
        self,
        launcher: Launcher,
        limits: Limits | None = None,
        *,
        reuse: Reuse = "reset",
        owned: bool = False,
    ) -> None:
        if reuse not in ("reset", "fresh"):
            raise BadInput(f"expected reuse='reset' or 'fresh', got {reuse!r}")
        self.limits = limits or Limits()
        self.replaced = 0
        """Boxes that a reset gave up and replaced."""
        self._launcher = launcher
        self._reuse = reuse
        self._owned = owned
        self._channel: Channel | None = None
        self._process = os.getpid()
        self._name = ""
        self._episodes = 0
        self._clean = True
        self._seed = 0

    @property
    def tier(self) -> str:
        """See `Sandbox.tier`."""
        return self._launcher.tier

    def start(self) -> None:
        """Start the box where none runs; raises SandboxError."""
        if self._channel is not None and self._process == os.getpid():
            return
        # A process that was forked off must not speak on its parent's stream.
        self._process, self._channel = os.getpid(), None
        channel = self._launcher.launch(self.limits)
        try:
            ready, _ = self._receive(channel, time.monotonic() + START_SECONDS)
            if ready.get("ready") is not True:
                raise SandboxError(f"expected the guest's greeting, got {ready}")
        except SandboxError:
            channel.close()
            raise
        self._channel, self._name = channel, secrets.token_hex(8)
        self._episodes, self._clean = 0, True

    def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes = b"",
        seconds: float | None = None,
        on_call: OnCall | None = None,
    ) -> ExecResult:
        """Run a snippet or a program (see `Sandbox.exec`)."""
        limit = self.limits.seconds if seconds is None else seconds
        if not limit > 0 or limit == float("inf"):
            raise BadInput(f"expected seconds above 0 and finite, got {limit}")
        if isinstance(command, str):
            if stdin:
                raise BadInput("expected no stdin beside a snippet: its standard input is empty")
            header: dict[str, Any] = {"op": "python", "seconds": limit}
            payload = _encode_text(command)
        else:
            header = {"op": "program", "seconds": limit, "argv": _checked_argv(command)}
            payload = bytes(stdin)
        answer, output = self._ask(header, payload, limit, on_call)
        result = _result(answer, output)
        if result.state_lost:
            self._clean = False
        return result

    def read(self, path: str) -> bytes:
        """Return a file of the work folder (see `Sandbox.read`)."""
        header = {"op": "read", "path": path, "max_bytes": MAX_MESSAGE_BYTES}
        return self._ask(header, b"", self.limits.seconds)[1]

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the work folder (see `Sandbox.write`)."""
        self._ask({"op": "write", "path": path}, bytes(data), self.limits.seconds)

    def snapshot(self) -> Snapshot:
        """Return the episode's present state (see `Sandbox.snapshot`)."""
        if self.tier in ("landlock", "bare"):
            raise MissingCapability(
                f"the {self.tier} sandbox has no snapshots; sandbox='docker' and 'bubblewrap' do"
            )
        answer, files = self._ask({"op": "snapshot"}, b"", self.limits.seconds)
        return Snapshot(self._name, answer["interpreter"], files)

    def reset(self, snapshot: Snapshot | None = None, *, seed: int = 0) -> None:
        """Begin an episode in an empty box, or go back to a snapshot (see `Sandbox.reset`)."""
        number = None
        if snapshot is not None:
            if self._channel is None or snapshot.box != self._name:
                raise SandboxError("the snapshot's box is gone")
            number = snapshot.interpreter
        elif self._worn_out():
            self._replace()
        header = {"op": "reset", "interpreter": number, "seed": seed}
        files = b"" if snapshot is None else snapshot.files
        try:
            answer, _ = self._ask(header, files, self.limits.seconds)
        except SandboxError:
            if snapshot is not None:
                raise
            # It died while nobody used it; what was wanted is an empty box, so a new one will do.
            self.replaced += 1
            answer, _ = self._ask(header, files, self.limits.seconds)
        if answer.get("gone"):
            raise SandboxError("the snapshot's saved interpreter is dead")
        if answer["left"]:
            if snapshot is not None:
                raise SandboxError(f"{answer['left']} leftovers of the episode would not go")
            self._replace()
            answer, _ = self._ask(header, files, self.limits.seconds)
            if answer["left"]:
                raise SandboxError(f"a new box holds {answer['left']} leftovers")
        self._episodes += 1

    def close(self) -> None:
        """End the box; safe to call again, never raises."""
        channel, self._channel = self._channel, None
        if channel is not None and self._process == os.getpid():
            channel.close()
        if self._owned:
            self._launcher.close()

    def __enter__(self) -> Self:
        """Return the box."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    # Inside ---------------------------------------------------------------------------------

    def _worn_out(self) -> bool:
        used = self._reuse == "fresh" and self._episodes > 0
        return used or not self._clean or self._episodes >= EPISODES

    def _replace(self) -> None:
        self.replaced += self._channel is not None
        self._drop()
        self.start()

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _ask(
        self, header: dict[str, Any], payload: bytes, seconds: float, on_call: OnCall | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and return its answer; a box that fails at it is given up."""
        if len(payload) > MAX_MESSAGE_BYTES:
            raise BadInput(f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(payload)}")
        self.start()
        assert self._channel is not None
        nonce = secrets.token_hex(8)
        try:
            answer, data = self._exchange(
                self._channel, {**header, "nonce": nonce}, payload, seconds, on_call
            )
        except BaseException:  # an interrupt too leaves the stream in the middle of a frame
            self._drop()
            raise
        if "file_error" in answer:
            raise SandboxFileError(answer["file_error"])
        if "failed" in answer:
            self._drop()
            raise SandboxError(f"the guest could not do {header['op']!r}: {answer['failed']}")
        return answer, data

    def _exchange(
        self,
        channel: Channel,
        header: dict[str, Any],
        payload: bytes,
        seconds: float,
        on_call: OnCall | None,
    ) -> tuple[dict[str, Any], bytes]:
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        channel.send(encode(header, payload), deadline)
        while True:
            answer, data = self._receive(channel, deadline)
            if answer.get("nonce") != header["nonce"]:
                continue  # of a step that was given up
            if not answer.get("call"):
                return answer, data
            reply: dict[str, Any] = {"op": "answer", "nonce": header["nonce"]}
            if on_call is None:
                channel.send(encode({**reply, "error": "nobody answers calls here"}), deadline)
            else:
                channel.send(encode(reply, on_call(data)), deadline)

    def _receive(self, channel: Channel, deadline: float) -> tuple[dict[str, Any], bytes]:
        try:
            return read(lambda count: channel.receive(count, deadline), MAX_ANSWER_BYTES)
        except BadFrame as error:
            raise SandboxError(f"the guest's stream is broken: {error}") from error


def _result(answer: dict[str, Any], output: bytes) -> ExecResult:
    cut = int(answer["stdout_bytes"])
    return ExecResult(
        exit_code=answer["exit_code"],
        stdout=output[:cut].decode(errors="backslashreplace"),
        stderr=output[cut:].decode(errors="backslashreplace"),
        cut=answer["cut"],
        timed_out=answer["timed_out"],
        seconds=answer["seconds"],
        state_lost=answer["state_lost"],
    )


def _encode_text(command: str) -> bytes:
    try:
        return command.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"expected a snippet that UTF-8 can write: {error}") from error


def _checked_argv(command: Sequence[str]) -> list[str]:
    argv = list(command)
    if not argv or not all(isinstance(part, str) and "\0" not in part for part in argv):
        raise BadInput(f"expected a program's name and arguments as texts, got {command!r:.200}")
    for part in argv:
        _encode_text(part)
    if sum(map(len, argv)) > 1 << 17:
        raise BadInput("expected arguments of at most 131072 characters; give long ones as stdin")
    return argv
