"""How much memory a process and all that it started hold, by the kernel's own count."""

import os


def family_of(root: int) -> set:
    """Return a process and all that it started, by id; what has ended but was not fetched, not."""
    parents = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(name)] = int(parent)
    family, wanted = set(), {root}
    while wanted:
        family |= wanted
        wanted = {process for process, parent in parents.items() if parent in wanted} - family
    return family


def memory(root: int) -> float:
    """Return the proportional memory of a process and all that it started, in MiB."""
    total = 0
    for process in family_of(root):
        try:
            with open(f"/proc/{process}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024
