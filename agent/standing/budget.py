"""How much of the model's time the standing questions may take: a share of it, kept."""

import time
from collections.abc import Callable

_BURST_S = 2.0  # of the model's time: what may be saved up while nothing is checked


class Budget:
    """Earns a share of the time that passes, and is spent.

    It may be overdrawn by the last job that it was there for, and is paid back before
    the next one.

    Args:
        share: Of the time, above 0, up to 1.
        burst_s: Most that is saved up.
        clock: Tells the time in seconds; never goes back.

    Attributes:
        spent_s: All that was spent.
    """

    def __init__(
        self,
        share: float,
        burst_s: float = _BURST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"a share is above 0, up to 1, not {share}")
        if burst_s <= 0:
            raise ValueError(f"something must be saved up, not {burst_s} s")
        self._share, self._burst_s, self._clock = share, burst_s, clock
        self._balance_s, self._told_s = burst_s, clock()
        self.spent_s = 0.0

    @property
    def balance_s(self) -> float:
        """What is left; below 0 is overdrawn."""
        now_s = self._clock()
        earned_s = (now_s - self._told_s) * self._share
        self._balance_s = min(self._burst_s, self._balance_s + earned_s)
        self._told_s = now_s
        return self._balance_s

    @property
    def is_spent(self) -> bool:
        """Whether the next job has to wait."""
        return self.balance_s <= 0

    def spend(self, seconds: float) -> None:
        """Take what a job has cost."""
        self._balance_s = self.balance_s - seconds
        self.spent_s += seconds
