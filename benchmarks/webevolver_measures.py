"""What of E2 is measured once the arms are trained: Chromium, fidelity, looks ahead."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from webevolver_settings import ROUNDS, SITES

from agentgym_si.config import ImproveConfig
from agentgym_si.envs.base import TextEnv
from agentgym_si.evaluate import score
from agentgym_si.judging.base import FunctionJudge
from agentgym_si.loop_playing import Player
from agentgym_si.policies.base import ReplayPolicy
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.rollouts import Episode, play
from agentgym_si.search.lookahead import LookAhead, LookAheadSettings
from agentgym_si.store import Run, read_trajectories, write_json
from agentgym_si.types import Trajectory, Transition
from agentgym_si.worldmodel.fidelity import by_depth, one_step, open_loop
from agentgym_si.worldmodel.imagined import first_of
from agentgym_si.worldmodel.lived import fork, lived
from agentgym_si.worldmodel.teaching import load_world_model


def make(config: ImproveConfig, env: str = "") -> gym.Env[str, str]:
    """Return the config's environment, or that of another id with the same options."""
    return gym.make(env or config.env, disable_env_checker=True, **config.env_options)


def play_again(config: ImproveConfig, folder: Path, count: int) -> dict[str, int]:
    """Play real episodes again in Chromium; return how many steps there were and how many differ.

    A step differs where a byte of what is seen, the reward or the end does.
    """
    place = folder / "browser.json"
    if place.exists():
        known: dict[str, int] = json.loads(place.read_text())
        return known
    every = [t for t in read_trajectories(folder / "we", "collect/") if t.transitions]
    chosen = every[:: max(len(every) // max(count, 1), 1)][:count]
    actions = {(t.task.id, t.seed, index): t.actions for index, t in enumerate(chosen)}
    episodes = [Episode(t.id, t.seed, t.task.id, index) for index, t in enumerate(chosen)]
    different = 0
    with ExitStack() as stack:
        envs = [stack.enter_context(make(config, SITES)) for _ in chosen[:8]]
        for before, after in zip(chosen, play(envs, ReplayPolicy(actions), episodes), strict=True):
            pairs = zip(told(before), told(after), strict=True)
            different += sum(one != other for one, other in pairs)
    steps = sum(len(t.transitions) for t in chosen)
    found = {"episodes": len(chosen), "steps": steps, "different": different}
    write_json(place, found)
    return found


def told(trajectory: Trajectory) -> list[tuple[Any, ...]]:
    """Return what each step was seen to lead to."""
    steps = trajectory.transitions
    seen = [*(step.observation for step in steps[1:]), trajectory.final_observation]
    return [
        (steps[0].observation, after, step.reward, step.terminated, step.truncated)
        for step, after in zip(steps, seen, strict=True)
    ]


def learned_of(env: TextEnv, run: Path, checker: Callable[[Trajectory], float]) -> dict[str, Any]:
    """Count what an arm was given to learn from, and what of held-out tasks it solves.

    `kept` imagined episodes, `right` those that the checker accepts too when the same is done in
    the world; and `held_out` [solved, tasks] by how the arm could know the thing asked for.
    """
    real = list(read_trajectories(run, "collect/"))
    imagined = list(read_trajectories(run, f"imagined/{ROUNDS}/"))
    kinds = {
        "found in the world": {thing(t) for t in real if t.solved},
        "found in imagination": {thing(t) for t in imagined},
        "asked for, not found": {thing(t) for t in real},
    }
    held_out: dict[str, list[int]] = {}
    for tested in read_trajectories(run, f"evaluate/{ROUNDS}/"):
        names = (kind for kind, things in kinds.items() if thing(tested) in things)
        counts = held_out.setdefault(next(names, "never asked for"), [0, 0])
        counts[0] += tested.solved
        counts[1] += 1
    right = sum(checker(done_in(env, trajectory)) >= 0.5 for trajectory in imagined)
    return {"kept": len(imagined), "right": right, "held_out": held_out}


def done_in(env: TextEnv, imagined: Trajectory) -> Trajectory:
    """Return what an imagined episode's actions lead to in the world."""
    steps = []
    seen = first_of(env, imagined.task, imagined.seed).observation
    for step in imagined.transitions:
        before = seen
        seen, reward, terminated, truncated, _ = env.step(step.action.text)
        steps.append(Transition(before, step.action, float(reward), terminated, truncated))
        if terminated or truncated:
            break
    return replace(imagined, transitions=tuple(steps), final_observation=seen, world="real")


def thing(trajectory: Trajectory) -> str:
    """Return what a goal asks for."""
    return trajectory.task.goal.split()[-1]


def fidelity_of(config: ImproveConfig, folder: Path, env: TextEnv) -> dict[str, Any]:
    """Measure each iteration's world model on the pages that the policy visits now.

    The steps are those of held-out tasks, played by the policies after the first iteration and
    after the last; and forks of them: something else, done in the same real states.
    """
    if (folder / "fidelity.json").exists():
        known: dict[str, Any] = json.loads((folder / "fidelity.json").read_text())
        return known
    run = folder / "we"
    steps = lived(
        [t for i in (1, ROUNDS) for t in read_trajectories(run, f"evaluate/{i}/")],
        splits={"train", "test"},
    )
    forks = fork(env, steps, 40, np.random.default_rng(config.seed))
    found: dict[str, Any] = {}
    for number in range(1, ROUNDS + 1):
        model = load_world_model(run / "synthesis" / f"world-{number}", max_new_tokens=160)
        imagined = by_depth(open_loop(model, steps, model.structure, most=4))
        other = by_depth(one_step(model, forks, model.structure)) if forks else {}
        found[f"world-{number}"] = {
            "by_depth": {str(depth): asdict(scores) for depth, scores in imagined.items()},
            "forks": {str(depth): asdict(scores) for depth, scores in other.items()},
        }
    write_json(folder / "fidelity.json", found)
    return found


def look_ahead(
    config: ImproveConfig,
    folder: Path,
    looks: Sequence[tuple[int, int]],
    scorer: Callable[[Trajectory], float],
) -> dict[str, Any]:
    """Play the held-out tasks with looks ahead, and without a world model at the same budget.

    The control takes the likeliest, by the policy, of as many samples as cost what the look took.
    """
    place = folder / "lookahead.json"
    found: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    wanted = [look for look in looks if f"k{look[0]} d{look[1]}" not in found]
    if not wanted and "greedy" in found:
        return found
    run = folder / "we"
    policy = TransformersPolicy(
        run / "checkpoints" / str(ROUNDS),
        max_new_tokens=config.max_tokens,
        seed=config.seed,
    )
    model = load_world_model(run / "synthesis" / f"world-{ROUNDS}", max_new_tokens=160)
    judge = FunctionJudge(scorer)

    def measure(player: Any) -> dict[str, Any]:
        with Run(folder / "looks", {}) as empty, ExitStack() as stack:
            given = Player(config, empty, lambda *_: None, stack)
            return outcome(play(given.envs(), player, given.episodes("evaluate", 0)))

    if "greedy" not in found:
        found["greedy"] = measure(policy.with_sampling(temperature=0.0))
        write_json(place, found)
    for candidates, depth in wanted:
        settings = LookAheadSettings(candidates=candidates, depth=depth, seed=config.seed)
        looked = measure(LookAhead(policy, model, judge, settings))
        a_step = looked["tokens"] / max(looked["steps"], 1)
        samples = max(2, round(a_step / max(found["greedy"]["tokens_a_step"], 1e-9)))
        likeliest = FunctionJudge(probability, version="likeliest")
        control = LookAheadSettings(candidates=samples, depth=0, tries=1, seed=config.seed)
        found[f"k{candidates} d{depth}"] = {
            **looked,
            "best_of": samples,
            "control": measure(LookAhead(policy, model, likeliest, control)),
        }
        write_json(place, found)
    return found


def probability(trajectory: Trajectory) -> float:
    """Return how likely the policy's last action was, in [0, 1]."""
    return float(np.exp(sum(trajectory.transitions[-1].action.logprobs)))


def outcome(played: Sequence[Trajectory]) -> dict[str, Any]:
    """Return success, what it cost, and how many candidates no score was had of."""
    tokens = sum(t.costs.tokens for t in played)
    steps = sum(len(t.transitions) for t in played)
    told = [s.action.info.get("lookahead", {}) for t in played for s in t.transitions]
    success = score(played).success
    return {
        "success": success,
        "n": len(played),
        "steps": steps,
        "tokens": tokens,
        "tokens_a_step": tokens / max(steps, 1),
        "solved_per_1000_tokens": 1000 * success * len(played) / max(tokens, 1),
        "unscored": sum(look.get("unscored", 0) for look in told),
    }
