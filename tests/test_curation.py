"""What is kept of one's own episodes."""

from __future__ import annotations

from agentgym_si.curation import (
    cap_per_task,
    deduplicate,
    group_by_episode,
    keep_scored,
    shortest_per_episode,
    usable,
)
from agentgym_si.types import Action, Failure, Task, Trajectory, Transition


def played(name: str, task: str, seed: int, action: str, reward: float) -> Trajectory:
    step = Transition("o", Action(action), reward, True, False)
    return Trajectory(name, "env", Task(task), (step,), "", seed)


SOLVED = played("1", "t", 0, "a", 1.0)
TWIN = played("2", "t", 0, "a", 1.0)
OTHER_SEED = played("3", "t", 1, "a", 1.0)
PARTIAL = played("4", "t", 2, "b", 0.5)
LOST = played("5", "u", 0, "c", 0.0)
BROKEN = Trajectory(
    "6", "env", Task("t"), SOLVED.transitions, "", 7, failure=Failure("died", "gone")
)
ALL = [SOLVED, TWIN, OTHER_SEED, PARTIAL, LOST, BROKEN]


def ids(trajectories: list[Trajectory]) -> list[str]:
    return [trajectory.id for trajectory in trajectories]


def test_an_episode_whose_box_failed_is_never_kept() -> None:
    assert "6" not in ids(usable(ALL))
    assert "6" not in ids(keep_scored(ALL, threshold=0.0))


def test_threshold_is_inclusive() -> None:
    assert ids(keep_scored(ALL, 0.5)) == ["1", "2", "3", "4"]
    assert ids(keep_scored(ALL, 1.0)) == ["1", "2", "3"]
    assert ids(keep_scored(ALL, 1.0, judge=lambda t: float(t.id == "5"))) == ["5"]


def test_repeats_of_one_episode_go_and_the_first_stays() -> None:
    assert ids(deduplicate(ALL[:3])) == ["1", "3"]


def test_cap_is_by_task() -> None:
    assert ids(cap_per_task([SOLVED, TWIN, OTHER_SEED, LOST], 2)) == ["1", "2", "5"]


def test_groups_are_of_the_same_task_and_seed() -> None:
    assert [ids(group) for group in group_by_episode(ALL)] == [["1", "2"], ["3"], ["4"], ["5"]]


def test_of_each_episode_the_shortest_way_stays() -> None:
    step = SOLVED.transitions[0]
    detour = Trajectory("7", "env", Task("t"), (step, step), "", 0)
    assert ids(shortest_per_episode([detour, SOLVED, TWIN, OTHER_SEED])) == ["1", "3"]
