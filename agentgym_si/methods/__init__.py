"""Floor 5: one file per published system, each a composition of the floors below."""
