"""One module a suite: `PLACE` in the folder of benchmark data, and `compare(data, quick)`."""
