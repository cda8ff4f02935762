"""Guards the parity script: what it prints where there is no data, and that a difference shows."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = ROOT / "tests" / "data" / "bfcl"


def run(*arguments: str) -> tuple[int, list[str], str]:
    command = [sys.executable, "benchmarks/parity.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_without_data_nothing_agrees(tmp_path: Path) -> None:
    """An agreement of 1 over no answers at all."""
    code, lines, _ = run("--data", str(tmp_path))
    figures = json.loads(lines[-1])
    assert (code, figures["rows"], figures["agreement"]) == (0, 0, None)
    code, _, complaint = run("--data", str(tmp_path), "--suite", "bfcl")
    assert code == 2
    assert "expected the data of bfcl in" in complaint


def test_every_difference_is_listed_with_its_reason(tmp_path: Path) -> None:
    """A script that finds agreement whatever the verdicts say."""
    folder = tmp_path / "tools" / "bfcl"
    shutil.copytree(OWN, folder)
    (folder / "official_verdicts").mkdir()
    rows: list[dict[str, Any]] = [
        {"kind": "reference", "text": "[shape.area(width=4, height=5)]", "valid": True},
        {"kind": "no_names", "text": "[shape.area(4, 5)]", "valid": False},
        {"kind": "sum", "text": "[shape.area(width=4, height=2+3)]", "valid": True},
        {"kind": "wrong", "text": "[shape.area(width=4, height=6)]", "valid": True},
    ]
    with gzip.open(folder / "official_verdicts" / "simple_python.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"id": "simple_python_0", **row}) + "\n" for row in rows)
    code, lines, complaint = run("--data", str(tmp_path), "--suite", "bfcl")
    assert code == 0, complaint
    figures = json.loads(lines[-1])
    assert (figures["suite"], figures["rows"], figures["agreement"]) == ("bfcl", 4, 0.25)
    assert [(found["kind"], found["ours"]) for found in figures["differences"]] == [
        ("no_names", True),
        ("sum", False),
        ("wrong", False),
    ]
    reasons = [found["reason"] for found in figures["differences"]]
    assert "drops arguments without a name" in reasons[0]
    assert "evaluates arithmetic" in reasons[1]
    assert reasons[2].startswith("height: expected type float and one of [5.0], got 6 (int)")
    assert figures["left_out"]["parallel"] == "no official verdicts"
