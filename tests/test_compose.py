"""Guards docker-compose.yml: that compose reads it, and what its services may reach.

Building and running it takes minutes: that is done by hand, not here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMMANDS = [["docker-compose"], ["docker", "compose"]]


def compose(*arguments: str) -> dict[str, Any]:
    """Return what the first compose that is here makes of the file."""
    for command in COMMANDS:
        if shutil.which(command[0]):
            called = [*command, *arguments, "config"]
            done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, check=False)
            if "is not a docker command" not in done.stderr:
                assert done.returncode == 0, done.stderr
                found: dict[str, Any] = yaml.safe_load(done.stdout)
                return found
    pytest.skip("docker-compose is not installed")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose("--profile", "gpu")["services"]
    return found


def test_the_services_are_there(services: dict[str, Any]) -> None:
    """A service that another's profile hides, or an anchor that one version does not merge."""
    assert {"bench", "view", "llm", "train"} <= set(services)
    assert "smoke" in str(services["bench"]["command"]) and "healthcheck" in services["view"]


def test_the_model_is_served_as_the_policy_reads_it(services: dict[str, Any]) -> None:
    """Logprobs of another distribution than the one that was sampled from, `policies.served`."""
    command = services["llm"]["command"]
    assert command[command.index("--logprobs-mode") + 1] == "processed_logprobs"
    assert not command[0].startswith("-")  # the image runs `vllm serve MODEL`


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    for port in ports:
        assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1"


def test_only_the_bench_holds_the_engine_and_none_is_privileged(services: dict[str, Any]) -> None:
    """A sandbox or a model server with the socket that is root on the host."""
    holders = {name for name, service in services.items() if "docker.sock" in str(service)}
    assert holders == {"bench"}
    for name, service in services.items():
        assert not service.get("privileged"), name
        if name != "box":  # which only prints a line, without a network
            assert service["cap_drop"] == ["ALL"], name


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]
