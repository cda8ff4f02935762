"""Frames on a byte stream: 4 bytes of header length, 4 of payload length, a JSON header, a payload.

Used by both ends, host and guest, and between the guest's agent and its interpreter.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 1 << 20


class BadFrame(ValueError):
    """The stream does not hold a frame where one should be."""


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """Return a frame."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def lengths(head: bytes, max_payload: int) -> tuple[int, int]:
    """Return the lengths of header and payload; raises BadFrame where one is out of bounds."""
    header, payload = LENGTHS.unpack(head)
    if header > MAX_HEADER_BYTES or payload > max_payload:
        raise BadFrame(
            f"expected at most {MAX_HEADER_BYTES} and {max_payload} bytes, got "
            f"{header} and {payload}"
        )
    return int(header), int(payload)


def decode_header(text: bytes) -> dict[str, Any]:
    """Return a frame's header; raises BadFrame where it is no JSON object."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"expected a JSON header, got {text[:40]!r}") from error
    if not isinstance(header, dict):
        raise BadFrame(f"expected a JSON object as header, got {text[:40]!r}")
    return header


def read(take: Callable[[int], bytes], max_payload: int) -> tuple[dict[str, Any], bytes]:
    """Return the next frame's header and payload.

    Args:
        take: returns exactly as many bytes as it is asked for, or raises.
        max_payload: bytes; a longer one raises BadFrame.
    """
    header, payload = lengths(take(LENGTHS.size), max_payload)
    return decode_header(take(header)), take(payload) if payload else b""


class Buffer:
    """Frames out of pieces that arrive as they like."""

    def __init__(self, max_payload: int) -> None:
        self._data = bytearray()
        self._max_payload = max_payload

    def add(self, piece: bytes) -> None:
        """Take what has arrived."""
        self._data += piece

    def next(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next whole frame, or None; raises BadFrame."""
        if len(self._data) < LENGTHS.size:
            return None
        header, payload = lengths(bytes(self._data[: LENGTHS.size]), self._max_payload)
        begin = LENGTHS.size + header
        if len(self._data) < begin + payload:
            return None
        frame = (
            decode_header(bytes(self._data[LENGTHS.size : begin])),
            bytes(self._data[begin : begin + payload]),
        )
        del self._data[: begin + payload]
        return frame
