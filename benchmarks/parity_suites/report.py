"""What comparing our scorer with a benchmark's own gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One answer on which the verdicts differ."""

    part: str
    id: str
    kind: str
    official: Any
    ours: Any
    reason: str


@dataclass
class Report:
    """Verdicts compared, by part of the suite."""

    suite: str
    parts: dict[str, int] = field(default_factory=dict)
    """Answers compared in each part."""
    differences: list[Difference] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Parts that could not be compared here, and why."""

    @property
    def rows(self) -> int:
        """Answers compared."""
        return sum(self.parts.values())

    @property
    def agreement(self) -> float | None:
        """Share of equal verdicts; None where nothing was compared."""
        return 1 - len(self.differences) / self.rows if self.rows else None

    def figures(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "suite": self.suite,
            "rows": self.rows,
            "agreement": self.agreement,
            "differences": [difference._asdict() for difference in self.differences],
            "left_out": self.left_out,
        }
