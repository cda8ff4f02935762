"""The Gymnasium of self-improving agents."""

from agentgym_si.envs import register

__version__ = "0.1.0"

register()
