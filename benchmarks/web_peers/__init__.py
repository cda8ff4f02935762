"""BrowserGym in an interpreter of its own, and a loop on the bare DevTools protocol."""
