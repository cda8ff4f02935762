"""A judge of dialogues with tools that needs neither labels nor rewards: was all of it looked up?

In imagination a world model's own reward is a guess, and what a call returns may be made up; but
whether the agent passed on what it was told, and told what it was shown, stands in the dialogue.
What a grounded episode does not tell is whether the right tool was called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from agentgym_si.envs.base import ERROR
from agentgym_si.envs.calls import Call, parse_calls
from agentgym_si.envs.tools.answers import mentions
from agentgym_si.errors import ActionError
from agentgym_si.judging.base import FunctionJudge
from agentgym_si.types import Trajectory

_WORD = re.compile(r"\w+(?:[.:/-]\w+)*")


def grounded_judge() -> FunctionJudge:
    """Return the judge that scores 1 where an episode is grounded, else 0; see `is_grounded`."""
    return FunctionJudge(is_grounded, version="grounded")


def is_grounded(trajectory: Trajectory) -> bool:
    """Say whether a dialogue rests on what was seen in it.

    It ends with a text to the user, after at least one call, the last of which was no error. Every
    value that a call passes stands in what was seen before it. Every number in the last text stands
    in a result; and where the request is a question, the text tells something that a result shows
    and the request does not.
    """
    if len(trajectory.transitions) < 2:
        return False
    request, last = trajectory.transitions[0].observation, trajectory.transitions[-1]
    seen, results = request, ""
    for step, after in pairwise(trajectory.transitions):
        calls = _calls(step.action.text)
        if calls is None:
            return False
        passed = _values([call.arguments for call in calls])
        if not all(mentions(seen, value) for value in passed):
            return False
        if calls:
            results += f"\n{after.observation}"
        seen += f"\n{after.observation}"
    if not results or last.observation.startswith(ERROR) or _calls(last.action.text) != ():
        return False
    told = _WORD.findall(last.action.text)
    if not all(mentions(results, word) for word in told if word[0].isdigit()):
        return False
    news = (word for word in told if mentions(results, word) and not mentions(request, word))
    return "?" not in request or any(news)


def _calls(text: str) -> tuple[Call, ...] | None:
    """Return an action's calls, () for a text to the user, None for what cannot be read."""
    try:
        return parse_calls(text)
    except ActionError:
        return None


def _values(value: Any) -> Iterator[str]:
    """Yield every value inside, as text."""
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _values(inner)
    else:
        yield str(value)
