"""How often each may ask: a token bucket per asker."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_ASKERS = 1024


class Rates:
    """Lets each asker ask so often a minute, all at once or spread.

    Bound: 1024 askers. Policy: forget who asked the longest time ago.

    Args:
        per_minute: How often; None is no limit.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, per_minute: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute = per_minute or 0
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, asker: str) -> bool:
        """Tell whether an asker may ask now; if so, it has."""
        if not self.per_minute:
            return True
        now_s = self._clock()
        left, then_s = self._buckets.pop(asker, (float(self.per_minute), now_s))
        left = min(self.per_minute, left + (now_s - then_s) * self.per_minute / 60)
        is_allowed = left >= 1
        self._buckets[asker] = left - is_allowed, now_s
        while len(self._buckets) > _MAX_ASKERS:
            self._buckets.popitem(last=False)
        return is_allowed
