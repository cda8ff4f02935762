"""Floor 3: models that stand in for the world. Empty until the first one lands."""
