"""MiniWoB side by side: BrowserGym, the bare DevTools protocol, and ours, on the same page.

All click the checkboxes of one MiniWoB page, one after the other. Every figure is a ratio of
medians in one run. BrowserGym runs in a virtual environment of its own (`--peers FOLDER`, made
where it is not there), as it ships and with its half second of waiting set to 0, on the same
browser. Memory is all processes' together, shared pages counted once (PSS): of BrowserGym with one
environment, of ours with 16 by environment.

The last line is one JSON object: steps_vs_browsergym steps_vs_browsergym_nodelay
reset_vs_browsergym vector8_vs_raw_cdp memory_vs_browsergym text_backend_steps_per_second
screenshot_steps_vs_browsergym, and the medians in milliseconds behind them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from web_peers import raw_cdp
from web_peers.memory import memory

import agentgym_si  # noqa: F401  (registers the environments)
from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.sites.env import SitesEnv
from agentgym_si.envs.vector import ThreadVectorEnv, vector_of
from agentgym_si.envs.web.browsers import find_browser
from agentgym_si.envs.web.hub import close_hubs
from agentgym_si.envs.web.pages import miniwob_folder

TASK = "click-checkboxes-large"
STEPS = 10
PEERS = ("browsergym-core==0.14.3", "browsergym-miniwob==0.14.3")

Times = dict[str, list[float]]


class BrowserGym:
    """BrowserGym in another process."""

    def __init__(self, python: Path) -> None:
        """Start it."""
        script = Path(__file__).parent / "web_peers" / "serve_browsergym.py"
        pages = f"file://{miniwob_folder()}/"
        self._process = subprocess.Popen(
            [str(python), str(script)],
            env={**os.environ, "MINIWOB_URL": pages, "BROWSER": str(find_browser())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> Mapping[str, Any]:
        """Return its answer to an order; raises RuntimeError where it ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"BrowserGym ended with {self._process.wait()}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers", type=Path, default=Path(".venv-web-peers"))
    parser.add_argument("--no-peers", action="store_true", help="measure ours and the floor only")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else arguments.rounds
    figures: dict[str, Any] = {"browser": find_browser().name}
    if not arguments.no_peers:
        figures |= beside_browsergym(make_venv(arguments.peers), rounds)
    figures |= vectors(rounds)
    figures["text_backend_steps_per_second"] = round(text_backend(rounds * 20))
    for name, value in figures.items():
        print(f"{name:36} {value}")
    print(json.dumps(figures))


def make_venv(folder: Path) -> Path:
    """Make a virtual environment with BrowserGym, where it is not there; return its Python."""
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS], check=True)
        (folder / ".made").touch()
    return python


def beside_browsergym(python: Path, rounds: int) -> dict[str, Any]:
    """Play in turn, episode by episode, and compare the medians."""
    theirs, ours = BrowserGym(python), MiniWoBEnv(TASK)
    pictured = MiniWoBEnv(TASK, screenshot=True)
    times: Times = {}
    used: list[float] = []
    for delay, name in ((0.5, "browsergym"), (0.0, "nodelay")):
        theirs.ask(delay=delay, task=TASK)
        for seed in range(rounds):
            played = theirs.ask(episode=STEPS, seed=seed)
            times.setdefault(f"{name}_reset", []).append(played["reset"])
            times.setdefault(f"{name}_step", []).extend(played["steps"])
            play(ours, seed, times, "ours")
            play(pictured, seed, times, "screenshot")
        used.append(float(theirs.ask(memory=1)["mib"]))
    theirs.close()
    ours.close()
    pictured.close()
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "steps_vs_browsergym": ratio(median["browsergym_step"], median["ours_step"]),
        "steps_vs_browsergym_nodelay": ratio(median["nodelay_step"], median["ours_step"]),
        "screenshot_steps_vs_browsergym": ratio(
            median["browsergym_step"], median["screenshot_step"]
        ),
        "reset_vs_browsergym": ratio(median["browsergym_reset"], median["ours_reset"]),
        **{f"{name}_ms": round(value * 1000, 2) for name, value in median.items()},
        **memory_of_16(statistics.median(used)),
    }


def play(env: MiniWoBEnv, seed: int, times: Times, name: str) -> None:
    """Play an episode of clicks on checkboxes; note how long each call took."""
    began = time.perf_counter()
    observation, _ = env.reset(seed=seed)
    times.setdefault(f"{name}_reset", []).append(time.perf_counter() - began)
    boxes = checkboxes(observation)
    for step in range(STEPS):
        began = time.perf_counter()
        env.step(f"click('{boxes[step % len(boxes)]}')")
        times.setdefault(f"{name}_step", []).append(time.perf_counter() - began)


def checkboxes(observation: str) -> list[str]:
    """Return the ids of a page's checkboxes."""
    lines = [line.split(" ", 2) for line in observation.splitlines()]
    return [parts[0].strip("[]") for parts in lines if len(parts) > 1 and parts[1] == "checkbox"]


def memory_of_16(theirs: float) -> dict[str, Any]:
    """Compare BrowserGym's memory by environment with ours of 16 pages in one browser."""
    close_hubs()
    before = memory(os.getpid())
    vector = vector_of("agentgym_si/MiniWoB-v0", 16, task=TASK)
    vector.reset(seed=0)
    vector.step(("click('1')",) * 16)
    mine = (memory(os.getpid()) - before) / 16
    vector.close()
    close_hubs()
    return {
        "memory_vs_browsergym": ratio(mine, theirs, 3),
        "browsergym_mib": round(theirs),
        "ours_mib_at_16": round(mine, 1),
    }


def vectors(rounds: int) -> dict[str, Any]:
    """Compare 8 pages in lock-step with a loop on the bare protocol, in turn."""
    vector = gym.make_vec("agentgym_si/MiniWoB-v0", num_envs=8, task=TASK, max_steps=10**9)
    assert isinstance(vector, ThreadVectorEnv)
    mine, floor = [], []
    for _ in range(max(rounds // 2, 2)):
        floor.append(asyncio.run(raw_cdp.measure(find_browser(), TASK, 8, 40)))
        mine.append(lock_step(vector, 40))
    vector.close()
    return {
        "vector8_vs_raw_cdp": ratio(statistics.median(mine), statistics.median(floor)),
        "vector8_steps_per_second": round(statistics.median(mine)),
        "raw_cdp8_steps_per_second": round(statistics.median(floor)),
    }


def lock_step(vector: ThreadVectorEnv, steps: int) -> float:
    observations, _ = vector.reset(seed=0)
    boxes = [checkboxes(observation) for observation in observations]
    began = time.perf_counter()
    for step in range(steps):
        vector.step([f"click('{mine[step % len(mine)]}')" for mine in boxes])
    return vector.num_envs * steps / (time.perf_counter() - began)


def text_backend(episodes: int) -> float:
    """Return the steps a second of Sites-v0 without a browser, random actions, resets left out."""
    env = SitesEnv(backend="text")
    steps, seconds = 0, 0.0
    for seed in range(episodes):
        env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        over = False
        while not over and env.max_steps > len(env._actions):
            legal = env.candidates()
            action = legal[int(rng.integers(len(legal)))]
            began = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            seconds += time.perf_counter() - began
            steps += 1
            over = terminated or truncated
    return steps / seconds


def ratio(of: float, to: float, digits: int = 2) -> float:
    return round(of / to, digits)


if __name__ == "__main__":
    main()
