"""Standing questions: set, removed, listed; and what they have found."""

from collections.abc import Sequence
from typing import Any

from agent.http.house import House


def alerts_of(
    house: House, cameras: Sequence[str], start_s: float | None, end_s: float | None
) -> list[dict[str, Any]]:
    """Give what standing questions have found, newest first."""
    return []
