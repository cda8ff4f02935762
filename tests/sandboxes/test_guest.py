"""Guards the guest's parts that can be looked at without a box: frames, filter, files."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_si.sandboxes.guest import confine, files
from agentgym_si.sandboxes.guest.frames import BadFrame, Buffer, encode, read

HEADERS = st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.booleans())


@given(st.lists(st.tuples(HEADERS, st.binary())), st.integers(1, 50))
def test_frames_come_out_as_they_went_in(
    sent: list[tuple[dict[str, object], bytes]], size: int
) -> None:
    """A frame that arrives in pieces, read as two or as none."""
    stream = b"".join(encode(header, payload) for header, payload in sent)
    buffer, got = Buffer(1 << 20), []
    for at in range(0, len(stream), size):
        buffer.add(stream[at : at + size])
        while (frame := buffer.next()) is not None:
            got.append(frame)
    assert got == sent


@given(st.binary(min_size=8))
def test_no_stream_breaks_the_reader(stream: bytes) -> None:
    """Bytes from the box that raise what nobody catches, or ask for memory without end."""
    view = memoryview(stream)

    def take(count: int) -> bytes:
        nonlocal view
        if count > len(view):
            raise EOFError
        piece, view = bytes(view[:count]), view[count:]
        return piece

    try:
        header, payload = read(take, 1 << 10)
    except (BadFrame, EOFError):
        return
    assert isinstance(header, dict) and len(payload) <= 1 << 10


def run_filter(program: bytes, machine: str, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Run classic BPF over a system call, as the kernel does; return the verdict."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, confine.ARCHITECTURES[machine], 0, *padded)
    lines = list(struct.iter_unpack("=HBBI", program))
    at = loaded = 0
    while True:
        code, yes, no, value = lines[at]
        at += 1
        if code == confine.LOAD:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == confine.RETURN:
            return int(value)
        else:
            holds = {
                confine.JUMP_EQUAL: loaded == value,
                confine.JUMP_SET: bool(loaded & value),
                confine.JUMP_AT_LEAST: loaded >= value,
            }[code]
            at += yes if holds else no


@pytest.mark.parametrize("machine", confine.ARCHITECTURES)
def test_the_filter_says_of_each_call_what_it_should(machine: str) -> None:
    """A jump that is off by one and lets everything after it through."""
    column = list(confine.ARCHITECTURES).index(machine)
    program = confine.seccomp_program(machine, network=False, local=True)
    for name, numbers in confine.DENIED.items():
        assert run_filter(program, machine, numbers[column]) != confine.ALLOW, name
    for both, argument in confine.ONLY_MYSELF:
        other = [0, 0]
        other[argument] = 1
        assert run_filter(program, machine, both[column]) == confine.ALLOW
        assert run_filter(program, machine, both[column], tuple(other)) != confine.ALLOW
    for both in (confine.SOCKET, confine.SOCKETPAIR):
        assert run_filter(program, machine, both[column], (1,)) == confine.ALLOW
        assert run_filter(program, machine, both[column], (2,)) != confine.ALLOW
    clone = confine.CLONE[column]
    assert run_filter(program, machine, clone, (0x11,)) == confine.ALLOW
    assert run_filter(program, machine, clone, (0x10000011,)) != confine.ALLOW
    assert run_filter(program, machine, 0 if machine == "x86_64" else 63) == confine.ALLOW  # read
    assert run_filter(program, machine, confine.X32_BIT | 1) != confine.ALLOW
    closed = confine.seccomp_program(machine, network=False, local=False)
    assert run_filter(closed, machine, confine.SOCKET[column], (1,)) != confine.ALLOW
    opened = confine.seccomp_program(machine, network=True, local=True)
    assert run_filter(opened, machine, confine.SOCKET[column], (2,)) == confine.ALLOW


def test_an_unknown_machine_is_refused() -> None:
    """A filter of the wrong numbers, which denies what is harmless and allows the rest."""
    with pytest.raises(OSError, match="riscv64"):
        confine.seccomp_program("riscv64", network=False, local=True)


def test_a_folder_of_any_depth_is_emptied(tmp_path: Path) -> None:
    """Files that outlive their episode because the way to them is too long."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "kept").touch()
    (tmp_path / "link").symlink_to(outside)
    assert files.wipe(str(tmp_path)) == 0
    assert list(tmp_path.iterdir()) == [] and (outside / "kept").exists()
