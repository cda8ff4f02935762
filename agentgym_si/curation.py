"""From trajectories to the ones worth learning from: small pure functions that methods compose.

None of them lets an episode through that failed in the box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agentgym_si.types import Trajectory

Judge = Callable[[Trajectory], float]
"""A trajectory's score in [0, 1]."""


def episode_return(trajectory: Trajectory) -> float:
    """Score a trajectory by what the environment paid: a verifier that cannot be persuaded."""
    return trajectory.episode_return


def usable(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Return those that did not fail in the box and have a step."""
    return [t for t in trajectories if t.failure is None and t.transitions]


def keep_scored(
    trajectories: Iterable[Trajectory], threshold: float, judge: Judge = episode_return
) -> list[Trajectory]:
    """Return the usable trajectories that `judge` scores at `threshold` or above."""
    return [t for t in usable(trajectories) if judge(t) >= threshold]


def deduplicate(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Return the first of all that did the same actions in the same task and seed."""
    seen: dict[tuple[str, int, tuple[str, ...]], Trajectory] = {}
    for trajectory in trajectories:
        seen.setdefault((trajectory.task.id, trajectory.seed, trajectory.actions), trajectory)
    return list(seen.values())


def shortest_per_episode(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Return the one with the fewest steps of each task and seed, the first of equals.

    A long way to the same end holds actions that failed; imitating it teaches them.
    """
    best: dict[tuple[str, int], Trajectory] = {}
    for trajectory in trajectories:
        episode = (trajectory.task.id, trajectory.seed)
        known = best.setdefault(episode, trajectory)
        if len(trajectory.transitions) < len(known.transitions):
            best[episode] = trajectory
    return list(best.values())


def cap_per_task(trajectories: Iterable[Trajectory], cap: int) -> list[Trajectory]:
    """Return the first `cap` of each task, so that easy tasks do not drown hard ones."""
    counts: dict[str, int] = {}
    kept = []
    for trajectory in trajectories:
        count = counts[trajectory.task.id] = counts.get(trajectory.task.id, 0) + 1
        if count <= cap:
            kept.append(trajectory)
    return kept


def group_by_episode(trajectories: Sequence[Trajectory]) -> list[list[Trajectory]]:
    """Return the usable trajectories in groups of the same task and seed, in order."""
    groups: dict[tuple[str, int], list[Trajectory]] = {}
    for trajectory in usable(trajectories):
        groups.setdefault((trajectory.task.id, trajectory.seed), []).append(trajectory)
    return list(groups.values())
