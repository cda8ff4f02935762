"""Floor 2: worlds with Gymnasium's interface; here are their ids and nothing else."""

import gymnasium as gym

ENTRY_POINTS = {
    "agentgym_si/Code-v0": "agentgym_si.envs.code:CodeEnv",
    "agentgym_si/FunctionCalling-v0": "agentgym_si.envs.function_calling:FunctionCallingEnv",
    "agentgym_si/LongHorizon-v0": "agentgym_si.envs.long_horizon:LongHorizonEnv",
    "agentgym_si/MCP-v0": "agentgym_si.envs.mcp:MCPEnv",
    "agentgym_si/MiniWoB-v0": "agentgym_si.envs.miniwob:MiniWoBEnv",
    "agentgym_si/Shell-v0": "agentgym_si.envs.shell:ShellEnv",
    "agentgym_si/Sites-v0": "agentgym_si.envs.sites.env:SitesEnv",
    "agentgym_si/Tools-v0": "agentgym_si.envs.tools.env:ToolsEnv",
}


def register() -> None:
    """Register every id with Gymnasium; safe to call again."""
    for env_id, entry_point in ENTRY_POINTS.items():
        if env_id not in gym.registry:
            vector = f"agentgym_si.envs.vector:{env_id}"
            gym.register(id=env_id, entry_point=entry_point, vector_entry_point=vector)
