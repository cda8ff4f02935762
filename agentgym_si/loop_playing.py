"""The episodes of a run: which belong to a phase, played where they are not stored yet.

A chunk of episodes that was cut off is played again whole, so that every batch has the same
members; only the trajectories that were not stored yet are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import gymnasium as gym

from agentgym_si.config import ImproveConfig
from agentgym_si.policies.base import Policy, stable_seed
from agentgym_si.rollouts import Episode, play
from agentgym_si.store import Run
from agentgym_si.types import Trajectory

CHUNK = 96
"""Episodes that are played, and after a kill replayed, together."""

Progress = Callable[[str, int, int], None]
"""Called with a phase's name, how much of it is done, and of how much."""

MakeEnv = Callable[..., gym.Env[str, str]]
"""Makes an environment from its id and options; `gym.make`, or one that makes it elsewhere."""


class Player:
    """Plays a run's real episodes and keeps them in its folder."""

    def __init__(
        self,
        config: ImproveConfig,
        run: Run,
        progress: Progress,
        stack: ExitStack,
        make: MakeEnv = gym.make,
    ) -> None:
        """Keep what is played with; environments are made on `stack` when first needed."""
        self.config, self.run, self.progress = config, run, progress
        self._stack, self._make = stack, make
        self._envs: list[gym.Env[str, str]] = []

    def episodes(
        self, phase: str, iteration: int, samples: int = 1, *, fixed: bool = False
    ) -> list[Episode]:
        """Return the phase's episodes; no two kinds of phase share a seed.

        But "label" has the tasks and seeds of "collect", and with `fixed` every iteration collects
        those of the first.
        """
        config = self.config
        held_out = config.evaluate.tasks or config.tasks
        drawn = 1 if fixed else iteration
        first, count, tasks = {
            "warm": (0, config.warm.seeds, config.warm.tasks or config.tasks),
            "collect": (drawn * 10_000, config.collect.seeds, config.tasks),
            "label": (drawn * 10_000, config.collect.seeds, config.tasks),
            "evaluate": (500_000_000, config.evaluate.seeds, held_out),
            "final-start": (600_000_000, config.evaluate.final_seeds, held_out),
            "final-end": (600_000_000, config.evaluate.final_seeds, held_out),
        }[phase]
        first += config.seed * 1_000_000
        names = (
            (f"{phase}/{iteration}/{task}/{seed}/{sample}", task, seed, sample)
            for seed in range(first, first + count)
            for task in tasks
            for sample in range(samples)
        )
        return [
            Episode(name, seed, task, sample, stable_seed(config.seed, name))
            for name, task, seed, sample in names
        ]

    def play(self, label: str, policy: Policy, episodes: Sequence[Episode]) -> list[Trajectory]:
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
                play(self.envs(), policy, chunk, on_trajectory=store)
        return self.stored(episodes)

    def stored(self, episodes: Iterable[Episode]) -> list[Trajectory]:
        """Return those of the episodes that are stored, in the episodes' order."""
        wanted = {episode.id: index for index, episode in enumerate(episodes)}
        found = self.run.trajectories(ids=wanted)
        return sorted(found, key=lambda trajectory: wanted[trajectory.id])

    def envs(self) -> Sequence[gym.Env[str, str]]:
        """Return the environments that are played in at the same time."""
        if not self._envs:
            options = {"disable_env_checker": True, **self.config.env_options}
            for _ in range(self.config.in_flight):
                env = self._stack.enter_context(self._make(self.config.env, **options))
                self._envs.append(env)
        return self._envs
