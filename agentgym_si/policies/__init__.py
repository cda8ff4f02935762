"""Floor 2: what acts; knows no environment. Heavy back ends are imported by their users only."""
