"""One run of self-improvement: collect, curate, train, evaluate, promote or roll back.

Each phase commits its result to the run folder. A run that was killed goes on where it stopped and
ends with the same table, because what a phase does is a function of the config and of the phases
before it: a chunk of episodes that was cut off is played again whole, so that every batch has the
same members, and only the trajectories that were not stored yet are stored.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym

from agentgym_si.config import ImproveConfig
from agentgym_si.errors import BadInput
from agentgym_si.evaluate import compare, score, score_by_task
from agentgym_si.policies.base import OraclePolicy, Policy, stable_seed
from agentgym_si.policies.hf import TransformersPolicy
from agentgym_si.policies.tiny import build_tiny
from agentgym_si.rollouts import Episode, play
from agentgym_si.store import Run, write_json
from agentgym_si.training.by_name import Row, row_type, train_rows
from agentgym_si.training.rows import to_rows
from agentgym_si.types import Costs, Trajectory, Weighted

CHUNK = 96
"""Episodes that are played, and after a kill replayed, together."""

Progress = Callable[[str, int, int], None]
"""Called with a phase's name, how much of it is done, and of how much."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What a method may use when it turns trajectories into rows."""

    iteration: int
    policy: TransformersPolicy
    """The policy that collected the trajectories."""
    rows: Callable[[Trajectory, float], list[Weighted]]
    """Turn a trajectory into rows in which every token of the policy has the given weight."""


class Method(Protocol):
    """What differs between published systems, as far as one loop of fine-tuning goes."""

    @property
    def samples(self) -> int:
        """Episodes collected of each task and seed; 0 collects nothing."""

    @property
    def labels_used(self) -> tuple[str, ...]:
        """Labels the method reads: `reward`, `oracle` …; empty for a label-free method."""

    def curate(self, trajectories: Sequence[Trajectory], context: Context) -> Sequence[Row]:
        """Return the rows to learn from.

        A method may say in an attribute `objective` what they are for (`training.by_name`), "sft"
        where it has none. Only then are the rows of earlier iterations learned from again.
        """


def run_loop(
    config: ImproveConfig,
    method: Method,
    folder: Path | str,
    *,
    progress: Progress = lambda phase, done, total: None,
) -> dict[str, Any]:
    """Run, or go on with, the improvement that `config` describes; return its report.

    The report is also `report.json` in the folder: `iterations` (success with its interval, the
    paired test against the policy of the time, promoted or not), `final` (end against start on
    episodes that decided nothing) and `cost`.

    Raises BadInput and UnknownName for what the config asks and the environment does not have,
    RunStopped where too many episodes fail in the box.
    """
    with ExitStack() as stack:
        run = stack.enter_context(Run(folder, config.model_dump(mode="json")))
        loop = _Loop(config, method, run, progress, stack)
        return loop.report()


class _Loop:
    """The phases of one run, each either done or to be done."""

    def __init__(
        self,
        config: ImproveConfig,
        method: Method,
        run: Run,
        progress: Progress,
        stack: ExitStack,
    ) -> None:
        self.config, self.method, self.run, self.progress = config, method, run, progress
        self._stack = stack
        self._envs: list[gym.Env[str, str]] = []
        self._policies: dict[Path, TransformersPolicy] = {}

    def report(self) -> dict[str, Any]:
        """Run every phase and return the report."""
        start = current = self.start()
        entries = [self.evaluate(0, current)]
        for iteration in range(1, self.config.iterations + 1):
            candidate, learned = self.learn(iteration, current)
            entry = self.evaluate(iteration, candidate, learned)
            entry |= self.decide(entries, iteration)
            if entry["promoted"]:
                current = candidate
            entries.append(entry)
        report = {
            "env": self.config.env,
            "tasks": list(self.config.tasks),
            "method": self.config.method,
            "labels_used": list(self.method.labels_used),
            "seed": self.config.seed,
            "iterations": entries,
            "final": self.final(start, current),
            "checkpoint": self._name(current),
            "cost": self.cost(),
        }
        write_json(self.run.folder / "report.json", report)
        return report

    # Phases -------------------------------------------------------------------------------

    def start(self) -> Path:
        """Build the policy where it is to be built, warm-start it; return its checkpoint."""
        done = self.run.phase("start")
        if done is None:
            began = time.perf_counter()
            trajectories = self._play("warm", OraclePolicy(), self._episodes("warm", 0))
            checkpoint = self._first_checkpoint(trajectories)
            rows: list[Weighted] = []
            if trajectories:
                tokens = self._policy(checkpoint).tokens
                rows = [row for t in trajectories for row in to_rows(t, tokens)]
                checkpoint = self._train("0", checkpoint, rows, self.config.warm.steps)
            self.run.write_rows("0", rows)
            done = self._finish("start", began, checkpoint=self._name(checkpoint), rows=len(rows))
        return self._path(done["checkpoint"])

    def learn(self, iteration: int, current: Path) -> tuple[Path, dict[str, Any]]:
        """Collect, curate and train; return the candidate and what it learned from."""
        policy = self._policy(current)
        collected = self._collect(iteration, policy)
        name = f"{iteration}-curate"
        done = self.run.phase(name)
        if done is None:
            began = time.perf_counter()
            context = Context(iteration, policy, lambda t, w: to_rows(t, policy.tokens, weight=w))
            rows = self.method.curate(collected, context)
            self.run.write_rows(str(iteration), rows)
            done = self._finish(
                name,
                began,
                collected=len(collected),
                collected_solved=sum(trajectory.solved for trajectory in collected),
                collected_failures=sum(trajectory.failure is not None for trajectory in collected),
                rows=len(rows),
            )
        learned = {key: value for key, value in done.items() if key != "seconds"}
        name = f"{iteration}-train"
        trained = self.run.phase(name)
        if trained is None:
            began = time.perf_counter()
            rows = self._rows(iteration)
            steps = self.config.train.steps
            checkpoint = self._train(str(iteration), current, rows, steps, self._objective)
            trained = self._finish(name, began, checkpoint=self._name(checkpoint), rows=len(rows))
        return self._path(trained["checkpoint"]), learned | {"rows_trained": trained["rows"]}

    def evaluate(
        self, iteration: int, checkpoint: Path, learned: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Play the held-out episodes; return the iteration's entry of the report."""
        trajectories = self._evaluation(iteration, checkpoint)
        return {
            "iteration": iteration,
            **asdict(score(trajectories)),
            "promoted": True,
            **(learned or {}),
            "by_task": {task: s.success for task, s in score_by_task(trajectories).items()},
        }

    def decide(self, entries: Sequence[dict[str, Any]], iteration: int) -> dict[str, Any]:
        """Compare the candidate with the policy of the time on the same episodes."""
        standing = max(entry["iteration"] for entry in entries if entry["promoted"])
        before = self._stored(self._episodes("evaluate", standing))
        after = self._stored(self._episodes("evaluate", iteration))
        paired = compare(before, after)
        promoted = paired.p_value <= self.config.evaluate.alpha
        against = {key: value for key, value in asdict(paired).items() if key != "n"}
        return {"promoted": promoted, "against": standing, "paired": against}

    def final(self, start: Path, end: Path) -> dict[str, Any] | None:
        """Compare end and start on episodes that no decision has seen."""
        if not self.config.evaluate.final_seeds:
            return None
        played = {
            name: self._play(name, self._greedy(path), self._episodes(name, 0))
            for name, path in (("final-start", start), ("final-end", end))
        }
        before, after = played["final-start"], played["final-end"]
        return {
            "start": asdict(score(before)),
            "end": asdict(score(after)),
            "paired": asdict(compare(before, after)),
        }

    def cost(self) -> dict[str, Any]:
        """Sum what all episodes cost, and the seconds of the phases that played none."""
        total, count = Costs(), 0
        for trajectory in self.run.trajectories():
            total, count = total + trajectory.costs, count + 1
        phases = ["start", *(f"{i}-train" for i in range(1, self.config.iterations + 1))]
        done = [self.run.phase(name) or {} for name in phases]
        training = sum(float(result.get("seconds", 0.0)) for result in done)
        return {"episodes": count, **asdict(total), "training_seconds": training}

    # Inside -------------------------------------------------------------------------------

    def _first_checkpoint(self, trajectories: Sequence[Trajectory]) -> Path:
        if self.config.policy != "tiny":
            return Path(self.config.policy)
        if not trajectories:
            raise BadInput(
                "expected warm.seeds of at least 1 where the policy is built from nothing"
            )
        texts = [m["content"] for trajectory in trajectories for m in trajectory.messages()]
        texts += [trajectory.final_observation for trajectory in trajectories]
        folder = self.run.checkpoint("untrained")
        shutil.rmtree(folder, ignore_errors=True)
        return build_tiny(folder, texts, seed=self.config.seed, **self.config.tiny.model_dump())

    def _collect(self, iteration: int, policy: TransformersPolicy) -> list[Trajectory]:
        sampling = policy.with_sampling(temperature=self.config.collect.temperature)
        episodes = self._episodes("collect", iteration)
        return self._play(f"collect {iteration}", sampling, episodes)

    def _evaluation(self, iteration: int, checkpoint: Path) -> list[Trajectory]:
        episodes = self._episodes("evaluate", iteration)
        return self._play(f"evaluate {iteration}", self._greedy(checkpoint), episodes)

    @property
    def _objective(self) -> str:
        return self.config.train.objective or str(getattr(self.method, "objective", "sft"))

    def _rows(self, iteration: int) -> Sequence[Row]:
        """Return what an iteration trains on: of others than imitation, its own rows alone."""
        if self._objective != "sft":
            return self.run.read_rows(str(iteration), row_type(self._objective))
        past = range(iteration + 1)
        return [row for number in past for row in self.run.read_rows(str(number), Weighted)]

    def _train(
        self, name: str, start: Path, rows: Sequence[Row], steps: int, objective: str = "sft"
    ) -> Path:
        nothing = objective != "sft" and not rows  # nothing to compare: the policy stays
        if not steps or nothing:
            return start
        out = self.run.checkpoint(name)
        shutil.rmtree(out, ignore_errors=True)  # whole, but of a phase that was not committed
        self.progress(f"train {name}", 0, 1)
        report = train_rows(
            objective,
            start,
            rows,
            out,
            temperature=self.config.collect.temperature,
            steps=steps,
            batch_size=self.config.train.batch_size,
            learning_rate=self.config.train.learning_rate,
            lora_rank=self.config.train.lora_rank,
            seed=stable_seed(self.config.seed, "train", name) % 2**31,
        )
        logger.info("trained %s: %s", name, report)
        self.progress(f"train {name}", 1, 1)
        return out

    def _episodes(self, phase: str, iteration: int) -> list[Episode]:
        """Return the phase's episodes; no two kinds of phase share a seed."""
        config = self.config
        first, count, samples = {
            "warm": (0, config.warm.seeds, 1),
            "collect": (iteration * 10_000, config.collect.seeds, self.method.samples),
            "evaluate": (500_000_000, config.evaluate.seeds, 1),
            "final-start": (600_000_000, config.evaluate.final_seeds, 1),
            "final-end": (600_000_000, config.evaluate.final_seeds, 1),
        }[phase]
        first += config.seed * 1_000_000
        names = (
            (f"{phase}/{iteration}/{task}/{seed}/{sample}", task, seed, sample)
            for seed in range(first, first + count)
            for task in config.tasks
            for sample in range(samples)
        )
        return [
            Episode(name, seed, task, sample, stable_seed(config.seed, name))
            for name, task, seed, sample in names
        ]

    def _play(self, label: str, policy: Policy, episodes: Sequence[Episode]) -> list[Trajectory]:
        """Play what is not stored yet, chunk by chunk; return all in the episodes' order."""
        stored = sum(episode.id in self.run.ids for episode in episodes)
        self.progress(label, stored, len(episodes))

        def store(trajectory: Trajectory) -> None:
            nonlocal stored
            if trajectory.id not in self.run.ids:  # else of a chunk that is played again
                self.run.append(trajectory)
                stored += 1
                self.progress(label, stored, len(episodes))

        for first in range(0, len(episodes), CHUNK):
            chunk = episodes[first : first + CHUNK]
            if not all(episode.id in self.run.ids for episode in chunk):
                play(self._open_envs(), policy, chunk, on_trajectory=store)
        return self._stored(episodes)

    def _stored(self, episodes: Iterable[Episode]) -> list[Trajectory]:
        wanted = {episode.id: index for index, episode in enumerate(episodes)}
        found = [t for t in self.run.trajectories() if t.id in wanted]
        return sorted(found, key=lambda trajectory: wanted[trajectory.id])

    def _open_envs(self) -> Sequence[gym.Env[str, str]]:
        if not self._envs:
            options = {"disable_env_checker": True, **self.config.env_options}
            for _ in range(self.config.in_flight):
                env = self._stack.enter_context(gym.make(self.config.env, **options))
                self._envs.append(env)
        return self._envs

    def _policy(self, checkpoint: Path) -> TransformersPolicy:
        if checkpoint not in self._policies:
            loaded = TransformersPolicy(
                checkpoint, max_new_tokens=self.config.max_tokens, seed=self.config.seed
            )
            self._policies = {checkpoint: loaded}
        return self._policies[checkpoint]

    def _greedy(self, checkpoint: Path) -> TransformersPolicy:
        return self._policy(checkpoint).with_sampling(temperature=0.0)

    def _finish(self, name: str, began: float, **result: Any) -> dict[str, Any]:
        return self.run.finish_phase(name, {**result, "seconds": time.perf_counter() - began})

    def _name(self, checkpoint: Path) -> str:
        """Return a checkpoint's path as stored: inside the run relative to it, so runs can move."""
        inside = checkpoint.is_relative_to(self.run.folder)
        return str(checkpoint.relative_to(self.run.folder) if inside else checkpoint.absolute())

    def _path(self, name: str) -> Path:
        return self.run.folder / name
