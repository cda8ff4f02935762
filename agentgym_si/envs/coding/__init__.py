"""What `agentgym_si/Code-v0` is made of: problems, and scoring that an answer cannot forge."""
