"""One episode of a goal on the sites: what was read, what it earns, and how far the solution is."""

from __future__ import annotations

from agentgym_si.envs.sites.goals import Problem
from agentgym_si.envs.sites.playing import Server, compared, has_read, play, texts_of
from agentgym_si.envs.sites.textual import View
from agentgym_si.envs.tools.answers import tells

MOST_WORDS = 12
"""Words beside the answer that a message may have: more is a page read aloud."""

RESTART = -1
"""The place of an oracle that has to begin again."""


class Episode:
    """Judges what is done; whoever browses tells it what is seen (`look`)."""

    def __init__(self, problem: Problem, goal: str) -> None:
        """Begin; the solution is played beforehand, to know the world that it leaves."""
        self.problem = problem
        self.goal = goal
        self.server = Server(problem.world)
        self._solution = play(problem, problem.steps)
        self._read: set[str] = set()
        self._url = problem.start
        self.place: int | None = 0
        """Steps of the solution that are done; RESTART, or None once it is out of reach."""

    def look(self, view: View) -> None:
        """Take note of what is seen."""
        self._url = view.url
        self._read |= set(texts_of(view))

    # What it earns ------------------------------------------------------------------------

    def is_done(self) -> bool:
        """Say whether a goal that asks for no answer is reached."""
        return not self.problem.answered and self._is_right()

    def is_told(self, said: str) -> bool:
        """Say whether a message is the right answer, and given at the right time."""
        problem = self.problem
        short = len(said.split()) <= MOST_WORDS + len(" ".join(problem.says).split())
        told = short and tells(said, problem.says, problem.unsaid, self.goal)
        return bool(problem.says) and told and self._is_right()

    def is_infeasible(self) -> bool:
        """Say whether giving up is right, and the reason was seen."""
        return self.problem.infeasible and self._is_right()

    def _is_right(self) -> bool:
        """Say whether the world, the page and what was read are as they have to be."""
        shown = self.problem.page in ("", self._url)
        right = compared(self.server.world) == compared(self._solution.world)
        return shown and right and has_read(self.problem, frozenset(self._read))

    # The oracle ---------------------------------------------------------------------------

    def oracle(self) -> str | None:
        """Return the next action of the solution; None where it cannot be reached any more."""
        steps = self._solution.actions
        if self.place is None or self.place >= len(steps):
            return None
        return self._again() if self.place == RESTART else steps[self.place]

    def follow(self, action: str, moved: bool) -> None:
        """Keep track of the place in the solution; who has `moved` elsewhere begins it again."""
        steps, untouched = self._solution.actions, self.server.world == self.problem.world
        if self.place is None:
            return
        if self.place == RESTART:
            begun = untouched and action == self._again()
            self.place = 0 if begun else RESTART if untouched else None
        elif self.place < len(steps) and action == steps[self.place]:
            self.place += 1
        elif moved:
            self.place = RESTART if untouched else None

    def _again(self) -> str:
        return f"goto({self.problem.start!r})"
