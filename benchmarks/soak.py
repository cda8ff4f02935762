"""Ten thousand episodes of MiniWoB in one process, the browser killed again and again.

A vector plays random legal actions on all pages in turn. Every `--kill-every` episodes each browser
process is killed with SIGKILL in mid-episode: all episodes under way must come back as failures,
with reward 0 and never terminated, and the next ones must play. Memory (PSS) is that of this
process and all that it started, looked at twice between two kills.

The last line is one JSON object: episodes failures expected_failures failures_with_reward kills
memory_first_mib memory_last_mib memory_most_mib leftover_processes recovery_seconds_most
episodes_per_second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from web_peers.memory import family_of, memory

import agentgym_si  # noqa: F401  (registers the environments)
from agentgym_si.envs.vector import ThreadVectorEnv
from agentgym_si.envs.web.hub import close_hubs
from agentgym_si.envs.web.pages import task_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--kill-every", type=int, default=500)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="longest episode")
    parser.add_argument("--quick", action="store_true", help="300 episodes, three kills")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.episodes, arguments.kill_every = 300, 90
    vector = gym.make_vec(
        "agentgym_si/MiniWoB-v0",
        num_envs=arguments.pages,
        max_steps=arguments.steps,
        autoreset_mode="Disabled",
    )
    assert isinstance(vector, ThreadVectorEnv)
    figures = Soak(vector).play(arguments.episodes, arguments.kill_every)
    print(json.dumps(figures))


class Soak:
    """What is counted on the way."""

    def __init__(self, vector: ThreadVectorEnv) -> None:
        """Play in `vector`."""
        self.vector = vector
        self.failures = self.expected = self.with_reward = self.kills = 0
        self._over: set[int] = set()
        self.memories: list[float] = []
        self.recoveries: list[float] = []

    def play(self, episodes: int, kill_every: int) -> dict[str, Any]:
        """Play rounds of one episode a page; kill after each `kill_every` episodes."""
        began, done, killed = time.perf_counter(), 0, False
        rng, pages = np.random.default_rng(0), self.vector.num_envs
        while done < episodes:
            resetting = time.perf_counter()
            self._reset(done)
            if killed:
                self.recoveries.append(time.perf_counter() - resetting)
            killed = (done + pages) // kill_every > done // kill_every
            if killed:
                self._kill()
            self._round(rng)
            done += pages
            if done // (kill_every // 2) > (done - pages) // (kill_every // 2) and not killed:
                self.memories.append(memory(os.getpid()))
                said = f"{done} episodes, {self.memories[-1]:.0f} MiB, {self.failures} failures"
                print(said, flush=True)
        seconds = time.perf_counter() - began
        self.vector.close()
        close_hubs()
        time.sleep(1)
        return {
            "episodes": done,
            "failures": self.failures,
            "expected_failures": self.expected,
            "failures_with_reward": self.with_reward,
            "kills": self.kills,
            "memory_first_mib": round(self.memories[0]),
            "memory_last_mib": round(self.memories[-1]),
            "memory_most_mib": round(max(self.memories)),
            "leftover_processes": len(family_of(os.getpid())) - 1,
            "recovery_seconds_most": round(max(self.recoveries, default=0.0), 2),
            "episodes_per_second": round(done / seconds, 1),
        }

    def _reset(self, done: int) -> None:
        tasks = task_names()
        with ThreadPoolExecutor(self.vector.num_envs) as threads:
            starts = [
                threads.submit(
                    env.reset,
                    seed=done + index,
                    options={"task": tasks[(done + index) % len(tasks)]},
                )
                for index, env in enumerate(self.vector.envs)
            ]
        infos = [start.result()[1] for start in starts]
        self._over = {index for index, info in enumerate(infos) if "failure" in info}
        for info in infos:
            self._count(0.0, False, info)

    def _round(self, rng: np.random.Generator) -> None:
        """Play every page's episode to its end, whichever is ready first going on."""
        playing = set(range(self.vector.num_envs)) - self._over
        self.vector.send({index: self._action(index, rng) for index in sorted(playing)})
        while len(self._over) < self.vector.num_envs:
            for ready in self.vector.recv():
                self._count(ready.reward, ready.terminated, ready.info)
                if ready.terminated or ready.truncated:
                    self._over.add(ready.number)
                else:
                    self.vector.send({ready.number: self._action(ready.number, rng)})

    def _action(self, index: int, rng: np.random.Generator) -> str:
        env: Any = self.vector.envs[index].unwrapped
        legal = env.candidates()
        return str(legal[int(rng.integers(len(legal)))])

    def _count(self, reward: float, terminated: bool, info: dict[str, Any]) -> None:
        if "failure" in info:
            self.failures += 1
            self.with_reward += bool(reward) or terminated

    def _kill(self) -> None:
        """Kill the browser, all its processes at once."""
        for process in family_of(os.getpid()) - {os.getpid()}:
            if "chrom" in command_of(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.kills += 1
        self.expected += self.vector.num_envs


def command_of(process: int) -> str:
    """Return a process's program; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
