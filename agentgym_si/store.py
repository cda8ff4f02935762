"""The run folder: everything a run made, in plain files that only grow.

    run.json              format, resolved config, versions, hardware
    trajectories.jsonl    one line a trajectory, flushed to disk before the next begins
    phases/*.json         the result of each finished phase, written whole or not at all
    rows/*.jsonl          training rows with their provenance
    checkpoints/*         model folders
    blobs/*               bytes by their content's hash

`datasets.load_dataset("json", data_files=…)` reads the trajectories as they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import platform
from collections.abc import Container, Iterator, Mapping, Sequence, Set
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from agentgym_si import codec
from agentgym_si.errors import BadInput, BadRecord
from agentgym_si.types import Preference, Trajectory, Weighted

Row = TypeVar("Row", bound=Weighted | Preference)

FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""

_HEAD = '{"id":"'
"""How the codec begins a trajectory's line."""
_DECODER = json.JSONDecoder()

logger = logging.getLogger(__name__)


class Run:
    """A run folder, opened for writing by one process at a time.

    Args:
        folder: made where it is missing; opened again where it holds a run.
        config: the resolved configuration; must equal the stored one of a run opened again.

    Raises:
        BadInput: for a folder of a newer format, of another config, with other files in it, or
            in use by another process.
    """

    def __init__(self, folder: Path | str, config: Mapping[str, Any]) -> None:
        """Open or make the folder."""
        self.folder = Path(folder)
        fresh = not (self.folder / "run.json").exists()
        if fresh and self.folder.exists() and any(_strangers(self.folder)):
            raise BadInput(f"expected an empty folder or a run in {self.folder}, got other files")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise BadInput(f"the run {self.folder} is in use by another process") from error
        try:
            if fresh:
                write_json(self.folder / "run.json", _describe(config))
            else:
                _check_same(self.folder, config)
            self.dropped_bytes = _drop_torn_line(self.folder / "trajectories.jsonl")
            self._file = (self.folder / "trajectories.jsonl").open("ab")
            self._ids = {trajectory.id for trajectory in self.trajectories()}
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Run:
        """Return the run itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the run."""
        self.close()

    def close(self) -> None:
        """Let the folder go; safe to call again."""
        self._file.close()
        self._lock.close()

    @property
    def ids(self) -> Set[str]:
        """Ids of the trajectories stored so far."""
        return self._ids

    def append(self, trajectory: Trajectory) -> None:
        """Store a trajectory, on disk when this returns; raises BadInput for a known id."""
        if trajectory.id in self._ids:
            raise BadInput(f"trajectory {trajectory.id!r} is stored already in {self.folder}")
        self._file.write(codec.dumps(trajectory).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._ids.add(trajectory.id)

    def trajectories(
        self, prefix: str = "", ids: Container[str] | None = None
    ) -> Iterator[Trajectory]:
        """Yield the stored trajectories that are asked for, as `read_trajectories` does."""
        return read_trajectories(self.folder, prefix, ids)

    def phase(self, name: str) -> dict[str, Any] | None:
        """Return the result of the phase, None where it has not finished."""
        path = self.folder / "phases" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def finish_phase(self, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
        """Store a phase's result; the phase has happened from here on."""
        write_json(self.folder / "phases" / f"{name}.json", result)
        return dict(result)

    def write_rows(self, name: str, rows: Sequence[Weighted | Preference]) -> Path:
        """Store training rows, one JSON line each; return the file."""
        lines = "".join(f"{codec.dumps(row)}\n" for row in rows)
        return _write_whole(self.folder / "rows" / f"{name}.jsonl", lines.encode())

    def read_rows(self, name: str, kind: type[Row] = Weighted) -> list[Row]:  # type: ignore[assignment]
        """Return the rows of type `kind` stored under `name`."""
        with (self.folder / "rows" / f"{name}.jsonl").open(encoding="utf-8") as lines:
            return [codec.loads(kind, line) for line in lines]

    def checkpoint(self, name: str) -> Path:
        """Return where the model of that name is, or is to be."""
        return self.folder / "checkpoints" / name

    def write_blob(self, data: bytes) -> str:
        """Store bytes under their hash and return it."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / "blobs" / digest
        if not path.exists():
            _write_whole(path, data)
        return digest

    def read_blob(self, digest: str) -> bytes:
        """Return the bytes stored under a hash; raises BadInput where there are none."""
        path = self.folder / "blobs" / digest
        if not path.is_file():
            raise BadInput(f"no blob {digest!r} in {self.folder}")
        return path.read_bytes()


def read_trajectories(
    folder: Path | str, prefix: str = "", ids: Container[str] | None = None
) -> Iterator[Trajectory]:
    """Yield a run's trajectories whose id begins with `prefix` and is in `ids`, where given.

    A torn last line is left out. Raises BadInput where the folder holds no run or a newer one,
    BadRecord for a broken line before the last, with its number. A line whose id is not
    asked for is not looked into.
    """
    folder = Path(folder)
    read_description(folder)
    path = folder / "trajectories.jsonl"
    if not path.exists():
        return

    def asked_for(name: str) -> bool:
        return name.startswith(prefix) and (ids is None or name in ids)

    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                logger.warning("%s: left out a torn last line of %d bytes", path, len(line))
                return
            try:
                text = line.decode()
                head = _id_at_head(text)
                if head is not None and not asked_for(head):
                    continue
                trajectory = codec.loads(Trajectory, text)
            except (BadRecord, UnicodeDecodeError) as error:
                raise BadRecord(f"{path}, line {number}: {error}") from error
            if asked_for(trajectory.id):
                yield trajectory


def _id_at_head(line: str) -> str | None:
    """Return a stored trajectory's id without reading the rest; None where it does not lead."""
    if not line.startswith(_HEAD):
        return None
    try:
        return str(_DECODER.raw_decode(line, len(_HEAD) - 1)[0])
    except json.JSONDecodeError:
        return None


def read_description(folder: Path | str) -> dict[str, Any]:
    """Return what run.json says; raises BadInput where it is missing, broken or newer."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise BadInput(f"expected a run folder (with run.json), got {folder}")
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadInput(f"expected JSON in {path}: {error}") from error
    found = description.get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise BadInput(
            f"the run {folder} has format {found}, this version reads up to {FORMAT}: "
            "pip install --upgrade agentgym-si"
        )
    return description


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all."""
    text = json.dumps(codec.encode(dict(data)), indent=2, sort_keys=False)
    _write_whole(path, f"{text}\n".encode())


def _write_whole(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def _strangers(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name not in (".lock", "run.json.partial"))


def _drop_torn_line(path: Path) -> int:
    """Cut the file after its last whole line; return and say how many bytes went."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        torn = len(data) - whole
        if torn:
            file.truncate(whole)
            logger.warning("%s: dropped a torn last line of %d bytes", path, torn)
    return torn


def _describe(config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("agentgym-si", "gymnasium", "playwright", "miniwob", "torch", "transformers", "trl")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    return {"format": FORMAT, "config": dict(config), "versions": versions, "hardware": hardware}


def _check_same(folder: Path, config: Mapping[str, Any]) -> None:
    stored = _flatten(read_description(folder)["config"])
    asked = _flatten(codec.encode(dict(config)))
    differing = sorted(key for key in stored | asked if stored.get(key) != asked.get(key))
    if differing:
        key = differing[0]
        raise BadInput(
            f"the run {folder} was begun with {key}={stored.get(key)!r}, now it is "
            f"{asked.get(key)!r}: use another run folder, or the same config"
        )


def _flatten(value: Any, where: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {where: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat.update(_flatten(item, f"{where}.{key}" if where else key))
    return flat
