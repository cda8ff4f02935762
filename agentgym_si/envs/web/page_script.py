"""The script that runs in every page before its own."""

from __future__ import annotations

import functools
from pathlib import Path

EPOCH_MILLISECONDS = 1_704_103_200_000
"""Every episode begins at 2024-01-01 10:00 UTC."""


@functools.cache
def page_script() -> str:
    """Return what runs in every page before its own scripts."""
    parts = [_script(name) for name in ("world.js", "snapshot.js", "act.js")]
    own = "\n".join(parts)
    world = f"(() => {{\nconst EPOCH = {EPOCH_MILLISECONDS};\n{own}}})();"
    return f"if (!globalThis.__agentgym) {{\n{world}\n{_script('miniwob.js')}}}"


def _script(name: str) -> str:
    return (Path(__file__).parent / "scripts" / name).read_text(encoding="utf-8")
