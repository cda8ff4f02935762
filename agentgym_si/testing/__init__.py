"""Floor 4: the contracts, shipped as functions to run on your own environments and policies."""

from agentgym_si.testing.env import check_env
from agentgym_si.testing.policy import check_policy

__all__ = ["check_env", "check_policy"]
