"""What all tests share: reproducible property tests, and visible skips where a tool is missing."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import settings

from agentgym_si.envs.web.browsers import find_browser
from agentgym_si.errors import MissingDependency

settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("suite")

TRAINING = ("torch", "transformers", "trl", "peft", "datasets")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {"browser": _missing_browser(), "train": _missing_packages(TRAINING)}
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def _missing_browser() -> str:
    missing = _missing_packages(("playwright", "miniwob"))
    if missing:
        return missing
    try:
        find_browser()
    except MissingDependency as error:
        return str(error)
    return ""


def _missing_packages(names: tuple[str, ...]) -> str:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""
