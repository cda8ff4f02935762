"""Methods beside each other: each improves the same start in the same world, at equal budgets.

Equal are: the warm-started policy, the problems and attempts an iteration, the real steps that a
method may learn from, the updates and their batch size, and the fresh episodes that start and end
are compared on, which decide nothing. No gate throws updates away. Not equal: the computing a
method needs for an update (a pair is two episodes), what it makes itself without the world, and
that imitation goes on rehearsing the warm start's episodes and earlier iterations (`loop`), which
methods that compare episodes do not. A method may read the oracle's labels; the table says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_si.bench.suites import CONTROL, MethodSettings, MethodSuite
from agentgym_si.config import ImproveConfig, load_config, override
from agentgym_si.errors import BadInput
from agentgym_si.evaluate import t_interval
from agentgym_si.improving import check
from agentgym_si.loop import Context, Method, run_loop
from agentgym_si.policies.base import NoopPolicy, RandomPolicy
from agentgym_si.rollouts import Episode, rollout
from agentgym_si.specs import load_method, make_env
from agentgym_si.store import Run, read_description, read_trajectories, write_json
from agentgym_si.synthesis import Synthesis, SynthesisContext
from agentgym_si.training.by_name import Row
from agentgym_si.types import Trajectory

UNGATED = {"evaluate.alpha": 1.0, "evaluate.seeds": 1}

Say = Callable[[str], None]


class WithinSteps:
    """A method that sees the first `steps` real steps of an iteration, and no more.

    An episode's course does not depend on those after it, so this is what the method would have
    learned from had collecting stopped there. The method is told of at most that many.
    """

    def __init__(self, method: Method, steps: int) -> None:
        """Limit `method`; all else of it is its own."""
        self.method, self.steps = method, steps
        self.samples, self.labels_used = method.samples, method.labels_used

    def __getattr__(self, name: str) -> Any:
        """Return what else the method says of itself (`objective`, `regime`, `synthesise`)."""
        found = getattr(self.method, name)
        return partial(self._synthesise, found) if name == "synthesise" else found

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> Sequence[Row]:
        """Let the method choose from what is within the budget."""
        return self.method.curate(within(trajectories, self.steps), context)

    def _synthesise(
        self, make: Callable[[SynthesisContext], Synthesis], context: SynthesisContext
    ) -> Synthesis:
        """Let the method make trajectories from what is within the budget of each iteration."""
        collected = [within(episodes, self.steps) for episodes in context.collected]
        return make(replace(context, collected=collected))


def within(trajectories: Sequence[Trajectory], steps: int) -> list[Trajectory]:
    """Return the longest beginning whose real steps are at most `steps`; imagined ones all stay."""
    kept, used = [], 0
    for trajectory in trajectories:
        used += len(trajectory.transitions) if trajectory.world == "real" else 0
        if used <= steps or trajectory.world != "real":
            kept.append(trajectory)
    return kept


def play_methods(
    name: str, suite: MethodSuite, folder: Path | str, *, say: Say = lambda line: None
) -> dict[str, Any]:
    """Run every method in every world with every seed, or go on; return the report.

    Raises BadInput for a folder begun with another suite, and what `improve` raises.
    """
    began = time.process_time()
    configs = {world: load_config(settings) for world, settings in suite.worlds.items()}
    limits = {"suite": name, **suite.model_dump(mode="json")}
    seeds = range(suite.first_seed, suite.first_seed + suite.seeds)
    with Run(folder, {"bench": limits}) as run:
        worlds = {}
        for world, config in configs.items():
            rows = [_play_seed(world, config, suite, seed, run.folder, say) for seed in seeds]
            worlds[world] = summarise(rows, suite.methods)
        described = read_description(folder)
        report = {
            "suite": name,
            "limits": limits,
            "worlds": worlds,
            "processor_seconds": _add_up(run, time.process_time() - began),
            **{key: described[key] for key in ("hardware", "versions")},
        }
        write_json(run.folder / "report.json", report)
    return report


def _add_up(run: Run, seconds: float) -> float:
    """Return the processor seconds of this call and of those before it that were not killed."""
    before = float((run.phase("seconds") or {}).get("processor_seconds", 0.0))
    run.finish_phase("seconds", {"processor_seconds": before + seconds})
    return before + seconds


def _play_seed(
    world: str, config: ImproveConfig, suite: MethodSuite, seed: int, folder: Path, say: Say
) -> dict[str, Any]:
    """Make the start of one world and seed, and run each method from it."""
    base = folder / world / f"start-{seed}"
    warm = override(config, {"seed": seed, "method": CONTROL, "method_options": {}, **UNGATED})
    start = _run(override(warm, {"iterations": 0}), None, base)
    row: dict[str, Any] = {"seed": seed, "methods": {}}
    for arm, settings in suite.methods.items():
        place = folder / world / f"{arm}-{seed}"
        job = _job(arm, settings, config, seed, base / start["checkpoint"])
        report = _run(job, suite.steps.get(world), place)
        row["methods"][arm] = _figures(report, place, job, suite.steps.get(world))
        say(f"{world} seed {seed} {arm}: {report['final']['paired']['difference']:+.1%}")
    row["baselines"] = _baselines(warm, base)
    return row


def _job(
    arm: str, settings: MethodSettings, config: ImproveConfig, seed: int, start: Path
) -> ImproveConfig:
    changes = {
        "method": settings.method or arm,
        "method_options": settings.options,
        "policy": str(start),
        "warm.steps": 0,
        "seed": seed,
        **UNGATED,
        **settings.config,
    }
    return override(config, changes)


def _run(config: ImproveConfig, steps: int | None, folder: Path) -> dict[str, Any]:
    """Run one job, or read what it came to."""
    if (folder / "report.json").is_file():  # written last; the suite's own folder knows the limits
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return report
    config = check(config)
    method = load_method(config.method, config.method_options)
    return run_loop(config, method if steps is None else WithinSteps(method, steps), folder)


def _figures(
    report: Mapping[str, Any], folder: Path, config: ImproveConfig, steps: int | None
) -> dict[str, Any]:
    """Return what one run came to, and what it was given."""
    if report["final"] is None:
        raise BadInput("expected evaluate.final_seeds of at least 1 to compare methods, got 0")
    learned = failed = 0
    for iteration in range(1, config.iterations + 1):
        collected = list(read_trajectories(folder, f"collect/{iteration}/"))
        collected.sort(key=lambda t: [int(part) for part in t.id.split("/")[-2:]])
        seen = collected if steps is None else within(collected, steps)
        learned += sum(len(trajectory.transitions) for trajectory in seen)
        failed += sum(trajectory.failure is not None for trajectory in collected)
    moved = [entry for entry in report["iterations"][1:] if entry["rows_trained"]]
    final = report["final"]
    return {
        "start": final["start"]["success"],
        "end": final["end"]["success"],
        "gain": final["paired"]["difference"],
        "lost": final["paired"]["lost"],
        "n": final["paired"]["n"],
        "failures": failed + final["start"]["failures"] + final["end"]["failures"],
        "real_steps": learned,
        "updates": len(moved) * config.train.steps,
        "labels_used": report["labels_used"],
        "cost": report["cost"],
    }


def _baselines(config: ImproveConfig, start: Path) -> dict[str, float]:
    """Return what doing nothing and random play earn on the episodes that the start was scored on.

    Kept in the start's folder, once played.
    """
    path = start / "baselines.json"
    if path.is_file():
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    episodes = [Episode(t.id, t.seed, t.task.id) for t in read_trajectories(start, "final-start/")]
    found = {}
    for policy in (NoopPolicy(), RandomPolicy()):
        played = rollout(
            lambda: make_env(config.env, **config.env_options),
            policy,
            episodes=episodes,
            in_flight=config.in_flight,
        )
        counted = [trajectory.solved for trajectory in played if trajectory.failure is None]
        found[policy.version] = sum(counted) / len(counted) if counted else 0.0
    write_json(path, found)
    return found


def summarise(
    rows: Sequence[Mapping[str, Any]], methods: Mapping[str, MethodSettings]
) -> dict[str, Any]:
    """Return each method's mean gain over seeds with its interval, alone and over the control."""
    found: dict[str, Any] = {}
    for arm in methods:
        runs = [row["methods"][arm] for row in rows]
        found[arm] = {
            "start": _mean([run["start"] for run in runs]),
            "end": _mean([run["end"] for run in runs]),
            "gain": _spread([run["gain"] for run in runs]),
            "runs": runs,
        }
        if CONTROL in methods and arm != CONTROL:
            control = [row["methods"][CONTROL]["gain"] for row in rows]
            pairs = zip((run["gain"] for run in runs), control, strict=True)
            found[arm]["over_control"] = _spread([gain - other for gain, other in pairs])
    return {
        "seeds": [row["seed"] for row in rows],
        "methods": found,
        "baselines": {
            name: _mean([row["baselines"][name] for row in rows]) for name in ("noop", "random")
        },
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    if len(values) < 2:
        return {"mean": values[0], "low": None, "high": None}
    mean, low, high = t_interval(values)
    return {"mean": mean, "low": low, "high": high}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
