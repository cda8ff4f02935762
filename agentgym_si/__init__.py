"""The Gymnasium of self-improving agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgym_si.envs import register

if TYPE_CHECKING:
    from agentgym_si.improving import improve as improve
    from agentgym_si.rollouts import rollout as rollout

__version__ = "0.1.0"

_LAZY = {"improve": "agentgym_si.improving", "rollout": "agentgym_si.rollouts"}

__all__ = ["__version__", "improve", "rollout"]

register()


def __getattr__(name: str) -> Any:
    """Import `improve` and `rollout` when they are first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'agentgym_si' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
