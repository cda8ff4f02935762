"""`agentgym_si/Tools-v0`: small worlds behind typed tools, and the interface for one's own."""
