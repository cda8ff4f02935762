"""Tools-v0: how fast, whether it ever keeps a policy waiting, and 10,000 tasks checked one by one.

Checked: no two drawn tasks are equal (goal, database and solution), the oracle earns 1 in each, and
its actions played again in another instance give the same observations and reward.

Peer: the stateful classes and the multi-turn checker of the Berkeley Function-Calling Leaderboard,
each dialogue's own reference calls as the answer, in the interpreter that `--peer` names, made by
`python -m venv peer && peer/bin/pip install --no-deps bfcl-eval`. Both sides carry the solution
out twice, for the agent and for comparison, and compare states; ours also parses every action,
checks schemas, and fills a fresh database. Both are timed in turn, in seconds of CPU time, and the
best of the rounds counts.

The last line is one JSON object: tasks distinct distinct_goals solved replayed
episodes_per_second steps_per_second peer_episodes_per_second peer_steps_per_second
env_share (of env and model seconds, with a model of 0.2 M weights on this machine's CPU).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agentgym_si.envs.tools.domain import read_state
from agentgym_si.envs.tools.env import ToolsEnv
from agentgym_si.rollouts import rollout

PEER = """
import json, sys, time
from pathlib import Path
import bfcl_eval
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
data = Path(bfcl_eval.__file__).parent / "data"
name = "BFCL_v4_multi_turn_base.json"
tasks = [json.loads(line) for line in open(data / name)]
answers = [json.loads(line)["ground_truth"] for line in open(data / "possible_answer" / name)]
began, valid, steps = time.process_time(), 0, 0
for task, turns in zip(tasks, answers):
    # the checker keeps every instance it has made by these names: a name for each run of ours
    steps += sum(map(len, turns))
    given = [[turn] for turn in turns]
    valid += multi_turn_checker(given, turns, task, "multi_turn_base", sys.argv[1])["valid"]
seconds = time.process_time() - began
print(json.dumps({"episodes": len(tasks), "steps": steps, "valid": valid, "seconds": seconds}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", help="interpreter that has bfcl-eval; none skips the peer")
    parser.add_argument("--quick", action="store_true", help="2,000 tasks, two rounds")
    arguments = parser.parse_args()
    tasks, rounds = arguments.tasks, arguments.rounds
    if arguments.quick:
        tasks, rounds = min(tasks, 2000), 2
    figures = {**verify(tasks), **compare(rounds, arguments.peer), "env_share": env_share()}
    for name, value in figures.items():
        print(f"{name:28} {value}")
    print(json.dumps(figures))


def solve(env: ToolsEnv) -> tuple[list[str], list[Any]]:
    """Play the oracle from where the episode is; return its actions and what came of them."""
    actions: list[str] = []
    results: list[Any] = []
    while not (results and (results[-1][2] or results[-1][3])):
        actions.append(env.oracle())
        results.append(env.step(actions[-1]))
    return actions, results


def verify(count: int) -> dict[str, Any]:
    """Draw tasks, solve each, and play the solution again in another instance."""
    env, other = ToolsEnv(), ToolsEnv()
    names = list(env.all_tasks)
    tasks, goals = set(), set()
    solved = replayed = 0
    began = time.process_time()
    for index in range(count):
        options, seed = {"task": names[index % len(names)]}, index // len(names)
        goal, _ = env.reset(seed=seed, options=options)
        assert env.problem is not None
        content = json.dumps([goal, read_state(env.database), repr(env.problem.steps)])
        tasks.add(hashlib.sha256(content.encode()).digest())
        goals.add(goal)
        actions, results = solve(env)
        solved += results[-1][1] == 1.0
        again = other.reset(seed=seed, options=options)[0]
        replayed += again == goal and [other.step(action) for action in actions] == results
    print(f"{count} tasks checked in {time.process_time() - began:.1f} s of CPU time")
    env.close()
    other.close()
    return {
        "tasks": count,
        "distinct": len(tasks),
        "distinct_goals": len(goals),
        "solved": solved,
        "replayed": replayed,
    }


def compare(rounds: int, peer: str | None) -> dict[str, Any]:
    """Return episodes and steps a second of the oracle here and of the peer's reference calls."""
    ours, theirs = [], []
    for number in range(rounds):
        ours.append(time_ours())
        if peer is not None:
            theirs.append(time_peer(peer, number))
    figures = dict(zip(("episodes_per_second", "steps_per_second"), max(ours), strict=True))
    best = max(theirs, default=(None, None))
    names = ("peer_episodes_per_second", "peer_steps_per_second")
    return {**figures, **dict(zip(names, best, strict=True))}


def time_ours(episodes: int = 500) -> tuple[float, float]:
    env, steps = ToolsEnv(), 0
    began = time.process_time()
    for seed in range(episodes):
        env.reset(seed=seed)
        steps += len(solve(env)[0])
    seconds = time.process_time() - began
    env.close()
    return round(episodes / seconds, 1), round(steps / seconds, 1)


def time_peer(python: str, number: int) -> tuple[float, float]:
    command = [python, "-c", PEER, f"run{number}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    if figures["valid"] < figures["episodes"]:
        sys.exit(f"expected the peer to pass its own reference, got {figures}")
    seconds = figures["seconds"]
    return round(figures["episodes"] / seconds, 1), round(figures["steps"] / seconds, 1)


def env_share(episodes: int = 20) -> float | None:
    """Return the environment's share of a rollout's time with a very small language model."""
    try:
        from agentgym_si.policies.tiny import build_tiny
        from agentgym_si.specs import load_policy
    except ImportError as error:
        print(f"share of a rollout's time not measured: {error}")
        return None
    with tempfile.TemporaryDirectory() as folder:
        env = ToolsEnv()
        texts = [env.reset(seed=seed)[0] for seed in range(100)]
        path = build_tiny(Path(folder) / "tiny", texts, hidden=64, layers=2, heads=2, context=8192)
        policy = load_policy(str(path), max_new_tokens=32)
        played = rollout(env, policy, episodes=episodes)
        env.close()
    env_seconds = sum(trajectory.costs.env_seconds for trajectory in played)
    model_seconds = sum(trajectory.costs.model_seconds for trajectory in played)
    return round(env_seconds / (env_seconds + model_seconds), 4)


if __name__ == "__main__":
    main()
