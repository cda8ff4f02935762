"""Guards the README: its session runs as it is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentgym_si.errors import SandboxError
from agentgym_si.sandboxes.opening import choose

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.browser
def test_the_session_runs_and_prints_what_it_says() -> None:
    """Documentation that lies about the first five minutes."""
    code = session(0)
    assert len(code.strip().splitlines()) <= 14
    assert run(code) == [
        "Goal: Click button ONE.",
        '[1] button "ONE"',
        '[2] button "TWO"',
        "5 of 5 solved",
    ]


def test_the_sandbox_session_runs_and_prints_what_it_says() -> None:
    """A sandbox that is not used the way its documentation shows."""
    try:
        choose()
    except SandboxError as error:
        pytest.skip(str(error))
    assert run(session(1)) == ["21", " 0"]


def session(number: int) -> str:
    return str(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[number])


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_file_the_readme_names_is_there() -> None:
    """A link or picture that leads nowhere."""
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
