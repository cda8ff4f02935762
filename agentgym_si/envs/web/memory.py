"""How much memory some processes hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def resident_mib(processes: Iterable[int]) -> float:
    """Return the processes' memory, what they share counted once (Linux's PSS), in MiB.

    A process that is gone counts nothing; neither does any where there is no /proc.
    """
    return sum(map(_proportional_kib, processes)) / 1024


def _proportional_kib(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("Pss:")]
    return int(lines[0].split()[1]) if lines else 0
