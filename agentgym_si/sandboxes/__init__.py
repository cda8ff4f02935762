"""Floor 1: places where untrusted code runs. Empty until the first one lands."""
