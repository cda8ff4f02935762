"""Floor 3: rows to weights, by TRL; every module here needs the extra `train`."""
