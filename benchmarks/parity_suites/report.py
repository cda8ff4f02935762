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
    avoidable: bool = True
    """False where no right scorer on another machine could agree: a hole of the official one that
    must not be copied, a verdict that it does not repeat, files of the machine that it ran on."""


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

    @property
    def agreement_where_defined(self) -> float | None:
        """Share of verdicts that are equal, or could not be; None where nothing was compared."""
        avoidable = sum(difference.avoidable for difference in self.differences)
        return 1 - avoidable / self.rows if self.rows else None

    def figures(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "suite": self.suite,
            "rows": self.rows,
            "agreement": self.agreement,
            "agreement_where_defined": self.agreement_where_defined,
            "differences": [difference._asdict() for difference in self.differences],
            "left_out": self.left_out,
        }
