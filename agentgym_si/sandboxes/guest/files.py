"""The box's files, reached without following anything that untrusted code may have laid out."""

from __future__ import annotations

import errno
import io
import itertools
import os
import stat
import tarfile

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITING = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileError(Exception):
    """A path that cannot be read or written, in words for the user."""


def read(work: str, path: str, max_bytes: int) -> bytes:
    """Return a plain file's bytes; raises FileError."""
    folder, name = _walk(work, path, make=False)
    try:
        descriptor = _open(path, name, READING, folder)
        try:
            found = os.fstat(descriptor)
            _check_plain(path, found)
            if found.st_size > max_bytes:
                raise FileError(f"{path}: expected at most {max_bytes} bytes, got {found.st_size}")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read(max_bytes)
        finally:
            os.close(descriptor)
    finally:
        os.close(folder)


def write(work: str, path: str, data: bytes) -> None:
    """Make or replace a plain file; raises FileError, which leaves no part of a new one."""
    folder, name = _walk(work, path, make=True)
    try:
        descriptor = _open(path, name, WRITING, folder)
        try:
            _check_plain(path, os.fstat(descriptor))
            os.ftruncate(descriptor, 0)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            os.unlink(name, dir_fd=folder)
            raise FileError(f"{path}: {error.strerror}") from error
        finally:
            os.close(descriptor)
    finally:
        os.close(folder)


def _walk(work: str, path: str, *, make: bool) -> tuple[int, str]:
    """Return the descriptor of the folder that `path` is in, and its last part."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise FileError(f"expected a path inside the work folder like 'a/b.txt', got {path!r}")
    folder = os.open(work, FOLDER)
    for part in parts[:-1]:
        try:
            if make:
                try:
                    os.mkdir(part, dir_fd=folder)
                except FileExistsError:
                    make = make  # whatever is there is opened, and refused if it is no folder
            inner = _open(path, part, FOLDER, folder)
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}") from error
        finally:
            os.close(folder)
        folder = inner
    return folder, parts[-1]


def _open(path: str, name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, 0o644, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileError(f"{path}: {name!r} is a symbolic link or no folder") from error
        raise FileError(f"{path}: {error.strerror}") from error


def _check_plain(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{path}: expected a plain file, got {stat.filemode(found.st_mode)}")


def wipe(folder: str) -> int:
    """Empty a folder; return how many of its entries would not go.

    Inner folders are moved up before they are emptied, so that no depth is too deep.
    """
    left = 0
    moved = itertools.count()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            _open_up(current)
            for entry in os.scandir(current):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                _open_up(entry.path)
                path = os.path.join(folder, f".going-{next(moved)}")
                while os.path.lexists(path):
                    path = os.path.join(folder, f".going-{next(moved)}")
                os.rename(entry.path, path)
                waiting.append(path)
            if current != folder:
                os.rmdir(current)
        except FileNotFoundError:
            continue
        except OSError:
            left += 1
    return left


def _open_up(folder: str) -> None:
    """Let its owner into a folder; root needs no leave, and must change nothing by a path."""
    if os.geteuid() != 0 and os.stat(folder).st_uid == os.geteuid():
        os.chmod(folder, 0o755)


def pack(work: str, max_bytes: int) -> bytes:
    """Return the work folder as a tar archive.

    Raises FileError where it holds what cannot be read, or more than `max_bytes` (files with holes
    may claim any size).
    """
    memory = io.BytesIO()
    room = max_bytes

    def admit(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal room
        room -= member.size
        if room < 0:
            raise FileError(f"expected files of at most {max_bytes} bytes in all: {member.name}")
        return member

    try:
        with tarfile.open(fileobj=memory, mode="w") as archive:
            for name in sorted(os.listdir(work)):
                archive.add(os.path.join(work, name), arcname=name, filter=admit)
    except (OSError, RecursionError) as error:
        raise FileError(f"the work folder cannot be packed: {error}") from error
    return memory.getvalue()


def unpack(work: str, data: bytes) -> None:
    """Fill the (empty) work folder from `pack`'s archive.

    The archive went out to the host and came back; members outside the folder are refused. Links
    out of it may be there, as they were before: nothing here follows them.
    """
    with tarfile.open(fileobj=io.BytesIO(data), mode="r") as archive:
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)  # Python 3.11.4
        archive.extractall(work)
