"""How many processor threads a model is computed with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

SMALL = 20_000_000
"""Parameters below which a second thread costs more than it brings."""


@contextlib.contextmanager
def one_thread_if_small(model: torch.nn.Module) -> Iterator[None]:
    """Compute a small model with one thread for a while.

    Threads wait for each other by spinning: beside a busy browser, two made generation with a
    0.1 M model tens of times slower, and on an idle machine they gain a third at best. One thread
    also gives the same bits on machines with other numbers of cores.
    """
    before = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
