"""Sandboxes side by side: what a step, a reset and an episode cost, and what each withstands.

Every figure is a ratio of medians in one run on one image. A step is a short snippet with state;
an episode is a reset and 20 of them (for SWE-ReX, which has no reset, a new container). The floor
is a bare fork and wait in a Python with the same modules loaded. Peers run in a virtual
environment of their own (`--peers FOLDER`, made where it is not there).

The last line is one JSON object: step_vs_docker_exec step_vs_swerex episode_vs_swerex
reset_vs_create reset_vs_fork_floor steps_per_second_8, medians in milliseconds, steps a second
with 1, 2, 4 and 8 boxes, and the abuses that each withstood.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
from sandbox_peers.adapter import PeerSandbox, build_peer_image, make_venv

from agentgym_si.errors import AgentGymError
from agentgym_si.sandboxes.base import Limits, Sandbox
from agentgym_si.sandboxes.docker import IMAGE, DockerLauncher
from agentgym_si.sandboxes.opening import TIERS, open_sandbox
from agentgym_si.testing.abuses import ABUSES
from agentgym_si.testing.sandbox import LIMITS, run_check

SNIPPET = "n = globals().get('n', 0) + 1\nprint(n * 2)"
STEPS = 20
NO_LIMITS = ("fork_bomb", "memory_bomb", "disk_fill")
"""Abuses not let loose in a container without limits: they would take this machine."""
FORK = """
import sys, os, time, statistics, gc, random, json, statistics, dataclasses, typing, tempfile
gc.freeze()
times = []
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
    times.append(time.perf_counter() - began)
print(statistics.median(times))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", type=Path, default=Path(".venv-sandbox-peers"))
    parser.add_argument("--no-peers", action="store_true", help="measure ours only")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 10
    peers: dict[str, Callable[[], Sandbox]] = {}
    if not arguments.no_peers:
        python = make_venv(arguments.peers)
        image = build_peer_image(python, IMAGE)
        peers["swe-rex"] = lambda: PeerSandbox("swe-rex", python, image)
        peers["llm-sandbox"] = lambda: PeerSandbox("llm-sandbox", python, image)
    medians = time_all(rounds, peers)
    rates = {count: steps_per_second(count, 4 if arguments.quick else 10) for count in (1, 2, 4, 8)}
    # Each reset of llm-sandbox takes ten seconds, each abuse two resets.
    abused = {name: peers[name] for name in peers if name != "llm-sandbox" or not arguments.quick}
    withstood = abuse_table(abused)
    print(json.dumps(figures(medians, rates, withstood)))


def time_all(rounds: int, peers: dict[str, Callable[[], Sandbox]]) -> dict[str, float]:
    """Return medians in milliseconds; the kinds are measured in turn, so that load hits all."""
    times: dict[str, list[float]] = {}
    client = docker.from_env()
    container = client.containers.run(
        IMAGE, ["sleep", "infinity"], detach=True, network_mode="none", auto_remove=True
    )
    boxes = {tier: open_sandbox(tier) for tier in ("docker", "bubblewrap")}
    others = {name: make() for name, make in peers.items()}
    launcher = DockerLauncher()
    try:
        for box in (*boxes.values(), *others.values()):
            box.reset()
            if (seen := box.exec("print(6 * 7)")).stdout != "42\n":
                raise SystemExit(f"{box.tier} does not run a snippet: {seen}")
        for _ in range(rounds):
            for name, box in boxes.items():
                for _ in range(10):
                    times.setdefault(f"{name} reset", []).append(timed(box.reset))
                    times.setdefault(f"{name} episode", []).append(
                        timed(functools.partial(episode, box))
                    )
                step_times(times.setdefault(f"{name} step", []), box, 100)
            for _ in range(5):
                run = ["python3", "-c", SNIPPET]
                took = timed(functools.partial(container.exec_run, run))
                times.setdefault("docker exec step", []).append(took)
            for _ in range(2):
                took = timed(lambda: launcher.launch(Limits()).close())
                times.setdefault("docker create and remove", []).append(took)
            for name, box in others.items():
                step_times(times.setdefault(f"{name} step", []), box, 5)
            times.setdefault("bare fork", []).append(fork_floor(100))
        for name, box in others.items():
            for _ in range(2):
                times.setdefault(f"{name} episode", []).append(
                    timed(functools.partial(episode, box))
                )
    finally:
        container.remove(force=True)
        for box in (*boxes.values(), *others.values()):
            box.close()
        client.close()
    medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    print(f"{'median':<28}{'ms':>10}{'times':>8}")
    for name, value in sorted(medians.items()):
        print(f"{name:<28}{value:>10.3f}{len(times[name]):>8}")
    return medians


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def episode(box: Sandbox) -> None:
    box.reset()
    for _ in range(STEPS):
        box.exec(SNIPPET)


def step_times(times: list[float], box: Sandbox, count: int) -> None:
    box.exec(SNIPPET)
    times += [timed(lambda: box.exec(SNIPPET)) for _ in range(count)]


def fork_floor(count: int) -> float:
    command = [sys.executable, "-S", "-c", FORK, str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def steps_per_second(count: int, seconds: float) -> float:
    """Return the steps a second of `count` Docker boxes, each with a thread and in episodes."""
    boxes = [open_sandbox("docker") for _ in range(count)]
    done = [0] * count
    for box in boxes:
        box.reset()
    until = time.perf_counter() + seconds

    def play(number: int) -> None:
        while time.perf_counter() < until:
            episode(boxes[number])
            done[number] += STEPS

    threads = [threading.Thread(target=play, args=[number]) for number in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(done) / (time.perf_counter() - began)
    for box in boxes:
        box.close()
    print(f"{count} boxes: {rate:.0f} steps a second, resets included")
    return rate


def abuse_table(peers: dict[str, Callable[[], Sandbox]]) -> dict[str, dict[str, str]]:
    """Let every abuse loose in every kind; return what came of it."""
    kinds: dict[str, Callable[[], Sandbox]] = {
        tier: lambda tier=tier: open_sandbox(tier, LIMITS) for tier in TIERS
    }
    table: dict[str, dict[str, str]] = {}
    for kind, make in {**kinds, **peers}.items():
        with make() as box:
            for name in ABUSES:
                skipped = kind in peers and name in NO_LIMITS
                came = "no limit" if skipped else outcome(name, box)
                table.setdefault(name, {})[kind] = came
    names = [*kinds, *peers]
    print(f"{'abuse':<28}" + "".join(f"{name:>13}" for name in names))
    for name, row in table.items():
        print(f"{name:<28}" + "".join(f"{row[kind]:>13}" for kind in names))
    return table


def outcome(name: str, box: Sandbox) -> str:
    try:
        run_check(name, box)
    except AssertionError:
        return "FAILED"
    except AgentGymError:
        return "broken"
    return "withstood"


def figures(
    medians: dict[str, float], rates: dict[int, float], table: dict[str, dict[str, str]]
) -> dict[str, Any]:
    def ratio(above: str, below: str) -> float | None:
        return round(medians[above] / medians[below], 1) if above in medians else None

    kinds = next(iter(table.values()))
    return {
        "step_vs_docker_exec": ratio("docker exec step", "docker step"),
        "step_vs_swerex": ratio("swe-rex step", "docker step"),
        "episode_vs_swerex": ratio("swe-rex episode", "docker episode"),
        "episode_vs_llm_sandbox": ratio("llm-sandbox episode", "docker episode"),
        "reset_vs_create": ratio("docker create and remove", "docker reset"),
        "reset_vs_fork_floor": ratio("docker reset", "bare fork"),
        "steps_per_second_8": round(rates[8]),
        "steps_per_second": {str(count): round(rate) for count, rate in rates.items()},
        "milliseconds": {name: round(value, 3) for name, value in medians.items()},
        "abuses": len(table),
        "withstood": {
            kind: sum(row[kind] == "withstood" for row in table.values()) for kind in kinds
        },
    }


if __name__ == "__main__":
    main()
