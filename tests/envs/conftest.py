"""What tests of web environments share: pages to visit, closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentgym_si.envs.web.requests import Answer
from agentgym_si.envs.web.visit import VisitEnv

HOME = "http://home.test/"

Visit = Callable[..., VisitEnv]


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Return a function that makes an environment of one page, or of pages by path."""
    made: list[VisitEnv] = []

    def make(pages: str | dict[str, str] | Answer, **options: Any) -> VisitEnv:
        if isinstance(pages, str):
            pages = {"": pages}
        if isinstance(pages, dict):
            pages = {path if ":" in path else HOME + path: body for path, body in pages.items()}
        env = VisitEnv(**{"url": HOME, "pages": pages, "deadline_seconds": 10.0, **options})
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()
