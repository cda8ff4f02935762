"""Floor 4: the contracts, shipped as functions to run on what you have made yourself."""

from agentgym_si.testing.env import check_env
from agentgym_si.testing.language_model import check_language_model
from agentgym_si.testing.policy import check_policy
from agentgym_si.testing.sandbox import check_sandbox

__all__ = ["check_env", "check_language_model", "check_policy", "check_sandbox"]
