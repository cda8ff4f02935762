"""A hermetic internet of our own: sites as functions of state and request, read in two ways."""
