"""`PeerSandbox`: another project's sandbox behind our contract, as far as it goes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from agentgym_si.errors import MissingCapability, SandboxError
from agentgym_si.sandboxes.base import ExecResult, OnCall, Snapshot

PACKAGES = {"swe-rex": "swe-rex==1.4.0", "llm-sandbox": "llm-sandbox[docker]==0.3.46"}
SERVERS = {"swe-rex": "serve_swerex.py", "llm-sandbox": "serve_llm_sandbox.py"}
IMAGE = "agentgym-si/benchmark-peers"


def make_venv(folder: Path) -> Path:
    """Make a virtual environment with the peers, where it is not there; return its Python."""
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES.values(), "aiohttp"]
        subprocess.run(command, check=True)
        (folder / ".made").touch()
    return python


def build_peer_image(python: Path, base: str) -> str:
    """Build the boxes' image for the peers: root, and SWE-ReX's server in it as its docs advise."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("pip", "setuptools", "pygments", "__pycache__")
        shutil.copytree(site, Path(folder) / "site", ignore=ignored)
        server = '#!/bin/sh\nexec python3 -m swerex.server "$@"\n'
        (Path(folder) / "swerex-remote").write_text(server)
        (Path(folder) / "swerex-remote").chmod(0o755)
        (Path(folder) / "Dockerfile").write_text(
            f"FROM {base}\nUSER root\nENV PYTHONPATH=/opt/site\nCOPY site /opt/site\n"
            "COPY swerex-remote /usr/local/bin/\n"
            "RUN ln -s $(command -v python3) /usr/local/bin/python "
            "&& python3 -m compileall -q /opt/site || true\n"
        )
        build = ["docker", "build", "--quiet", "-t", IMAGE, folder]
        subprocess.run(build, check=True, capture_output=True)
    return IMAGE


class PeerSandbox:
    """A peer's server process, spoken to in lines of JSON."""

    tier = "peer"

    def __init__(self, name: str, python: Path, image: str) -> None:
        server = str(Path(__file__).parent / SERVERS[name])
        self._process = subprocess.Popen(
            [str(python), server, image],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self) -> None:
        return None

    def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes = b"",
        seconds: float | None = None,
        on_call: OnCall | None = None,
    ) -> ExecResult:
        """Run a snippet; a program too, by way of a snippet."""
        code = command
        if not isinstance(command, str):
            code = (
                "import subprocess, sys\n"
                f"done = subprocess.run({list(command)!r}, stdin=subprocess.DEVNULL)\n"
                "sys.exit(done.returncode)"
            )
        answer = self._ask({"op": "exec", "code": code, "seconds": seconds or 10.0})
        if answer["stdout"] and not answer["stdout"].endswith("\n"):
            answer["stdout"] += "\n"  # SWE-ReX strips it
        return ExecResult(**answer)

    def read(self, path: str) -> bytes:
        raise MissingCapability("not compared")

    def write(self, path: str, data: bytes) -> None:
        raise MissingCapability("not compared")

    def snapshot(self) -> Snapshot:
        raise MissingCapability("not compared")

    def reset(self, snapshot: Snapshot | None = None, *, seed: int = 0) -> None:
        self._ask({"op": "reset"})

    def close(self) -> None:
        if self._process.poll() is None:
            self._ask({"op": "close"})
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SandboxError("the peer died")
        answer = json.loads(line)
        if "failed" in answer:
            raise SandboxError(answer["failed"])
        return dict(answer)
