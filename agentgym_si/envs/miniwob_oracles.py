"""The MiniWoB oracles by task id; each reads only what the policy sees."""

from __future__ import annotations

from agentgym_si.envs.miniwob_oracles_clicks import CLICKS
from agentgym_si.envs.miniwob_oracles_drawn import DRAWN
from agentgym_si.envs.miniwob_oracles_forms import FORMS
from agentgym_si.envs.miniwob_oracles_pages import PAGES
from agentgym_si.envs.miniwob_solving import Solver

ORACLES: dict[str, Solver] = {**CLICKS, **FORMS, **PAGES, **DRAWN}
