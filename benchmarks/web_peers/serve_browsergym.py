"""Plays BrowserGym's MiniWoB by order of benchmarks/web.py; run by an interpreter that has it.

One JSON object a line each way: {"delay": seconds} makes the environment, {"episode": steps} plays
one and answers {"reset": s, "steps": [s, …]}, {"memory": 1} answers {"mib": of all its processes}.
"""

import json
import os
import re
import sys
import time

import gymnasium as gym
import playwright.sync_api as playwright
from memory import memory

PROGRAM = os.environ["BROWSER"]
_launch = playwright.BrowserType.launch


def launch(self, **options):
    """Start the given browser: BrowserGym's chat window takes no path of its own."""
    options = {**options, "executable_path": PROGRAM, "chromium_sandbox": os.geteuid() != 0}
    return _launch(self, **options)


def main() -> None:
    playwright.BrowserType.launch = launch
    import browsergym.miniwob  # noqa: F401  (registers the environments)

    env = None
    for line in sys.stdin:
        order = json.loads(line)
        if "delay" in order:
            if env is not None:
                env.close()
            task = f"browsergym/miniwob.{order['task']}"
            env = gym.make(task, pre_observation_delay=order["delay"], disable_env_checker=True)
            answer = {}
        elif "episode" in order:
            answer = play(env, order["episode"], order["seed"])
        else:
            answer = {"mib": memory(os.getpid())}
        print(json.dumps(answer), file=real, flush=True)


def play(env, steps: int, seed: int) -> dict:
    began = time.perf_counter()
    observation, _ = env.reset(seed=seed)
    reset = time.perf_counter() - began
    boxes = checkboxes(observation["axtree_object"])
    times = []
    for step in range(steps):
        began = time.perf_counter()
        env.step(f"click('{boxes[step % len(boxes)]}')")
        times.append(time.perf_counter() - began)
    return {"reset": reset, "steps": times}


def checkboxes(tree: dict) -> list:
    nodes = [node for node in tree["nodes"] if node.get("role", {}).get("value") == "checkbox"]
    return [node["browsergym_id"] for node in nodes if re.fullmatch(r"\w+", node["browsergym_id"])]


if __name__ == "__main__":
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what BrowserGym prints is no answer
    main()
