"""What a check found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NONE = "none"  # nothing to judge by, or a figure that nothing was asked of


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: Of the check.
        verdict: How it ended.
        figure: What was found, in words, one line or more.
        data: The same as data, by names that JSON takes.
    """

    name: str
    verdict: Verdict
    figure: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give it as data."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "figure": self.figure,
            "data": dict(self.data),
        }


def judged(name: str, mistakes: list[str], figure: str, **data: Any) -> Finding:
    """Give a finding that failed if there were mistakes, and then names them."""
    if mistakes:
        found = {"mistakes": mistakes, **data}
        return Finding(name, Verdict.FAILED, "\n".join(mistakes), found)
    return Finding(name, Verdict.PASSED, figure, data)
