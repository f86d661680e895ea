"""When is something news? Verdicts over time become at most one alert each happening.

A happening begins when the verdict rises above the margin and ends when it was clearly
no for a while; in between it says nothing, however often the verdict says yes. What was
under way before the question was set is no news either. Pure: no clock, no model.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

HYSTERESIS = 2.0  # log-odds below the margin, where a verdict is clearly no
END_CHUNKS = 2  # clear noes in a row that end a happening
END_S = 30.0  # after the last that was not one, a single one does


class Phase(StrEnum):
    """Where a standing question stands."""

    UNKNOWN = "unknown"  # what was before it is not looked at yet
    QUIET = "quiet"
    GOING = "going"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a verdict counts.

    Attributes:
        margin: Least log-odds of a yes.
        cooldown_s: Least seconds between two alerts.
    """

    margin: float
    cooldown_s: float

    def is_clear_no(self, log_odds: float) -> bool:
        """Tell a clear no from what may still be a yes."""
        return log_odds <= self.margin - HYSTERESIS


@dataclass(frozen=True, slots=True)
class Happening:
    """What a standing question has come to. Times are those of the stream, UTC.

    Attributes:
        phase: Where it stands.
        noes: Clear noes in a row, while it is going.
        last_s: End of the last chunk that did not clearly say no, while it is going.
        alerted_s: End of the chunk of the last alert.
    """

    phase: Phase = Phase.UNKNOWN
    noes: int = 0
    last_s: float | None = None
    alerted_s: float | None = None

    def settled(self, *, is_going: bool, time_s: float) -> "Happening":
        """Say whether it was going on before the first chunk that is checked."""
        phase = Phase.GOING if is_going else Phase.QUIET
        last_s = time_s if is_going else None
        return replace(self, phase=phase, noes=0, last_s=last_s)

    def is_news(self, log_odds: float, time_s: float, rules: Rules) -> bool:
        """Tell whether a chunk's verdict is worth an alert, if it is confirmed."""
        is_new = self.phase is Phase.QUIET and log_odds >= rules.margin
        return is_new and not self.is_cooling(time_s, rules)

    def is_cooling(self, time_s: float, rules: Rules) -> bool:
        """Tell whether the last alert is too near; a clock that went back is not."""
        if self.alerted_s is None:
            return False
        return 0 <= time_s - self.alerted_s < rules.cooldown_s

    def alerted(self, time_s: float) -> "Happening":
        """Begin: an alert is given of a chunk that ends at a time."""
        return Happening(Phase.GOING, 0, time_s, time_s)

    def after(self, log_odds: float, time_s: float, rules: Rules) -> "Happening":
        """Take a verdict that gives no alert, on a chunk that ends at a time."""
        if self.phase is not Phase.GOING:
            return self
        if not rules.is_clear_no(log_odds):
            return replace(self, noes=0, last_s=time_s)
        noes = self.noes + 1
        is_long = self.last_s is None or abs(time_s - self.last_s) >= END_S
        if noes >= END_CHUNKS or is_long:
            return replace(self, phase=Phase.QUIET, noes=0, last_s=None)
        return replace(self, noes=noes)
