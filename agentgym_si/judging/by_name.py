"""Judges by the names that configs give them."""

from __future__ import annotations

import importlib

from agentgym_si.errors import BadInput
from agentgym_si.judging.base import BatchJudge, FunctionJudge, always_judge, return_judge
from agentgym_si.judging.grounded import grounded_judge
from agentgym_si.judging.language import PromptJudge
from agentgym_si.policies.language import LanguageModel

NAMES = ("return", "grounded", "always", "policy", "package.module:function")


def load_judge(spec: str, policy: LanguageModel) -> BatchJudge:
    """Return the judge that `spec` names; raises BadInput.

    Args:
        spec: "return" believes the rewards; "grounded" accepts dialogues with tools that rest on
            what was seen, see `grounded`; "policy" asks the policy itself by a prompt; "always"
            accepts everything, as a control; `package.module:function` is a function from a
            trajectory to a score in [0, 1], a checker say.
        policy: the policy of "policy".
    """
    if spec == "return":
        return return_judge()
    if spec == "grounded":
        return grounded_judge()
    if spec == "always":
        return always_judge()
    if spec == "policy":
        return PromptJudge(policy)
    check_judge(spec)
    module, _, name = spec.partition(":")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise BadInput(f"judge {spec!r}: {error}") from error
    if not callable(function):
        raise BadInput(f"judge {spec!r}: module {module} has no callable {name!r}")
    return FunctionJudge(function, version=spec)


def check_judge(spec: str) -> None:
    """Raise BadInput for what can be no judge's name."""
    module, _, name = spec.partition(":")
    if spec not in NAMES[:-1] and not (module and name):
        raise BadInput(f"expected a judge, one of {', '.join(NAMES)}, got {spec!r}")
