"""Is the same seed the same page, to the pixel? Every MiniWoB task, four actions, three times over.

After each action the page's document, its canvases, the values of its fields, the reward, the text
and the window's pixels are hashed. The same episodes are then played again: alone in another
context, and among others in parallel. A task whose hashes differ anywhere is a mismatch. Tiers:
"frames" (the headless shell, drawn by us) and "clock" (a full Chromium, drawn by its own clock).

The last line is one JSON object: tasks, and by tier state_mismatches pixel_mismatches and their
tasks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_si.envs.miniwob import MiniWoBEnv
from agentgym_si.envs.web.browsers import find_browser
from agentgym_si.envs.web.pages import task_names

STATE = """JSON.stringify([
  document.documentElement.outerHTML,
  [...document.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
  [...document.querySelectorAll("input,textarea,select")].map(
    (field) => [field.value, field.checked]),
])"""
ACTIONS = 4
PARALLEL = 4

Played = list[tuple[str, str]]
"""Of each action: a hash of the page's state, and one of its pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--full-browser", type=Path, help="a Chromium that is no headless shell")
    parser.add_argument("--tasks", type=int, help="only so many tasks")
    parser.add_argument("--quick", action="store_true", help="every fourth task")
    arguments = parser.parse_args()
    tasks = task_names()[:: 4 if arguments.quick else 1][: arguments.tasks]
    figures: dict[str, Any] = {"tasks": len(tasks)}
    full = arguments.full_browser or shutil.which("chromium")
    for browser in dict.fromkeys([str(find_browser()), *([str(full)] if full else [])]):
        tier, mismatches = compare(browser, tasks)
        figures[tier] = mismatches
        print(tier, Path(browser).name, json.dumps(mismatches), flush=True)
    print(json.dumps(figures))


def compare(browser: str, tasks: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Play all tasks three times; return who draws, and the tasks that differed."""
    with MiniWoBEnv(browser=browser, render_mode="rgb_array") as env:
        tier = str(env.reset(seed=0)[1]["clock"])
        first = {task: play(env, task) for task in tasks}
    with MiniWoBEnv(browser=browser, render_mode="rgb_array") as env:
        second = {task: play(env, task) for task in tasks}
    envs = [MiniWoBEnv(browser=browser, render_mode="rgb_array") for _ in range(PARALLEL)]
    with ThreadPoolExecutor(PARALLEL) as threads:
        shares = [(env, tasks[index::PARALLEL]) for index, env in enumerate(envs)]
        parts = list(threads.map(lambda share: {t: play(share[0], t) for t in share[1]}, shares))
    for env in envs:
        env.close()
    third = {task: played for part in parts for task, played in part.items()}
    state = [
        task for task in tasks if len({key(run[task], 0) for run in (first, second, third)}) > 1
    ]
    pixels = [
        task for task in tasks if len({key(run[task], 1) for run in (first, second, third)}) > 1
    ]
    return tier, {
        "state_mismatches": len(state),
        "pixel_mismatches": len(pixels),
        "state_tasks": state,
        "pixel_tasks": pixels,
    }


def key(played: Played, part: int) -> tuple[str, ...]:
    return tuple(hashes[part] for hashes in played)


def play(env: MiniWoBEnv, task: str) -> Played:
    """Play seeded legal actions, clicks before all; return the hashes after each."""
    rng = np.random.default_rng(len(task))
    env.reset(seed=7, options={"task": task})
    played = [look(env, [0.0])]
    for _ in range(ACTIONS):
        legal = env.candidates()
        result = env.step(legal[int(rng.integers(len(legal)))])
        if "failure" in result[4]:
            raise RuntimeError(f"{task}: {result[4]['failure']}")
        played.append(look(env, [*result[:4], result[4]["raw_reward"]]))
        if result[2] or result[3]:
            break
    return played


def look(env: MiniWoBEnv, said: list[Any]) -> tuple[str, str]:
    state = json.dumps([said, env.evaluate(STATE)])
    return digest(state.encode()), digest(np.ascontiguousarray(env.render()).tobytes())


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


if __name__ == "__main__":
    main()
