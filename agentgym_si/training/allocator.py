"""Keep freed memory in the process while training on a CPU."""

from __future__ import annotations

import ctypes
import functools
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep up to 1 GiB of freed memory; say whether it took it.

    By default it gives the activations of each update back to the kernel and faults them in again:
    measured on a 0.17 M model, 45 % of all processor time of training.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    kept = mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    return bool(kept and mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD))
