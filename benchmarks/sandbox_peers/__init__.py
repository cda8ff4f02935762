"""Sandboxes of others, driven from an interpreter of their own that has them installed."""
