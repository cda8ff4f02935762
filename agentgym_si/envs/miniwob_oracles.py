"""The MiniWoB oracles by task id; each reads only what the policy sees."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_si.envs.miniwob_oracles_clicks import CLICKS
from agentgym_si.envs.miniwob_oracles_drags import DRAGS, GRID_DRAGS
from agentgym_si.envs.miniwob_oracles_drawn import DRAWN
from agentgym_si.envs.miniwob_oracles_forms import FORMS
from agentgym_si.envs.miniwob_oracles_mail import MAIL, MAIL_IN_WORDS
from agentgym_si.envs.miniwob_oracles_pages import PAGES
from agentgym_si.envs.miniwob_oracles_points import POINTS
from agentgym_si.envs.miniwob_oracles_recalled import RECALLED
from agentgym_si.envs.miniwob_oracles_words import WORDS
from agentgym_si.envs.miniwob_solving import Recaller, Solver
from agentgym_si.envs.web.snapshot import Page

SOLVERS: dict[str, Solver] = {
    **CLICKS, **DRAGS, **DRAWN, **FORMS, **MAIL, **PAGES, **POINTS, **WORDS
}  # fmt: skip


def _forgetting(solver: Solver) -> Recaller:
    def solve(pages: Sequence[Page], actions: tuple[str, ...]) -> str:
        return solver(pages[-1], actions)

    return solve


ORACLES: dict[str, Recaller] = {
    **{task: _forgetting(solver) for task, solver in SOLVERS.items()},
    **GRID_DRAGS,
    **MAIL_IN_WORDS,
    **RECALLED,
}
