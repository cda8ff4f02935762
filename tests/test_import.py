"""Guards the import: quick, silent, and without the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "playwright", "docker", "ray", "vllm")
PROGRAM = """
import json, sys, time
began = time.perf_counter()
import {module}
seconds = time.perf_counter() - began
print(json.dumps([seconds, [name for name in {heavy} if name in sys.modules]]))
"""


def import_fresh(module: str, folder: Path) -> tuple[float, list[str]]:
    """Return seconds and heavy libraries of an import in a fresh interpreter."""
    program = PROGRAM.format(module=module, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1, f"the import printed something: {done.stdout}"
    assert list(folder.iterdir()) == [], "the import wrote into the working directory"
    seconds, loaded = json.loads(done.stdout)
    return seconds, loaded


def test_import_is_quick(tmp_path: Path) -> None:
    """A command line that answers `--help` after ten seconds."""
    fastest = min(import_fresh("agentgym_si", tmp_path)[0] for _ in range(5))
    assert fastest < 0.3


@pytest.mark.parametrize(
    "module",
    [
        "agentgym_si",
        "agentgym_si.audit",
        "agentgym_si.cli",
        "agentgym_si.envs.long_horizon",
        "agentgym_si.envs.miniwob",
        "agentgym_si.policies.base",
        "agentgym_si.rollouts",
        "agentgym_si.store",
        "agentgym_si.testing",
    ],
)
def test_import_loads_nothing_heavy(module: str, tmp_path: Path) -> None:
    """A plain environment that needs torch, or a browser library where no page is opened."""
    assert import_fresh(module, tmp_path)[1] == []
