"""Loggers of TRL's trainers: where their files go, and that each training has a curve of its own.

W&B's callback goes on with a run that is open, so that the trainings of one process would be one
run, with several losses at each step. W&B and Trackio settle their folder once a process, and keep
many runs in it by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any


@contextmanager
def logged(report_to: str, log_folder: str) -> Iterator[None]:
    """Train within this: what loggers say goes to stderr, a W&B run begun within ends with it.

    Args:
        report_to: the logger's name, or "none".
        log_folder: where TensorBoard's files go; those of W&B and Trackio go beside it. "" for the
            logger's default. Its own environment variable goes before; what is set here stays.
    """
    if report_to == "none":
        yield
        return
    if log_folder:
        folder = Path(log_folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder))
        for name in ("WANDB_DIR", "TRACKIO_DIR"):
            os.environ.setdefault(name, str(folder.parent))
    before = _wandb_run()
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            run = _wandb_run()
            if run is not None and run is not before:
                run.finish()


def _wandb_run() -> Any:
    return getattr(sys.modules.get("wandb"), "run", None)
