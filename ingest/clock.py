"""When a frame was taken: UTC from what a stream says and when it arrives.

The clock of the machine is read once: a step of it does not make stamps jump while a
reader runs.
"""

import math
import time
from collections.abc import Callable

TRUST_S = 30.0  # a camera's clock may differ so much from ours
MAX_JUMP_S = 5.0  # of pts from frame to frame
WINDOW_S = 60.0  # in which a delay counts, and the one before it

_EPOCH_S = time.time() - time.monotonic()
_LOOK_ROUND_S = 0.5


def utc_now() -> float:
    """Give the time in UTC, seconds since the Unix epoch; it never steps back."""
    return _EPOCH_S + time.monotonic()


def wait_until(time_s: float, alive: Callable[[float], None]) -> None:
    """Wait until a moment in UTC, and say now and then that waiting is on purpose."""
    while (left_s := time_s - utc_now()) > 0:
        alive(utc_now())
        time.sleep(min(left_s, _LOOK_ROUND_S))  # a camera's own process: nobody waits


class FrameClock:
    """Stamps the frames of a live stream with UTC; a pure function of what it is told.

    Where the camera tells the UTC of its frames (RTCP), a stamp is that, unless it is
    further than `TRUST_S` from the arrival: many cameras have never had their clock
    set.

    Else it is pts plus the smallest delay between pts and arrival of the last minute or
    two: a frame is never later than its arrival, one that was held up on its way is put
    where it belongs, and a clock that runs fast or slow is followed. A jump of pts
    beyond `MAX_JUMP_S` or backwards begins anew from arrival.

    Stamps never run backwards. After a clock was set back they run at half the speed
    until it has caught up, so that nothing is left out. `docs/time.md` has the rules.
    """

    def __init__(self) -> None:
        self._last_pts_s: float | None = None
        self._offsets = _LeastOffset()
        self._last_arrival_s = math.inf
        self._last_s = -math.inf

    def stamp(
        self, pts_s: float | None, arrival_s: float, origin_s: float | None = None
    ) -> float:
        """Give the UTC of a frame.

        Args:
            pts_s: Its time inside the stream, if it has one.
            arrival_s: UTC at which it arrived.
            origin_s: UTC of pts 0 by the camera's own clock, if it tells.
        """
        passed_s = arrival_s - self._last_arrival_s
        if pts_s is not None:
            if self._goes_on(pts_s):
                passed_s = pts_s - (self._last_pts_s or 0.0)
            else:
                self._offsets = _LeastOffset()
            self._last_pts_s = pts_s
        stamp_s = arrival_s
        soonest_s = self._last_s + max(passed_s, 0.0) / 2
        if pts_s is not None:
            offset_s = arrival_s - pts_s
            stamp_s = self._offsets.add(arrival_s, offset_s) + pts_s
            if origin_s is not None and abs(origin_s - offset_s) <= TRUST_S:
                stamp_s = origin_s + pts_s
            else:  # a frame is never later than its arrival
                soonest_s = min(soonest_s, max(arrival_s, self._last_s))
        self._last_s, self._last_arrival_s = max(stamp_s, soonest_s), arrival_s
        return self._last_s

    def _goes_on(self, pts_s: float) -> bool:
        last_s = self._last_pts_s
        return last_s is not None and 0 <= pts_s - last_s <= MAX_JUMP_S


class _LeastOffset:
    """The least offset of the last one to two windows."""

    def __init__(self) -> None:
        self._began_s = -math.inf
        self._before_s = self._now_s = math.inf

    def add(self, arrival_s: float, offset_s: float) -> float:
        """Add an offset, and give the least."""
        if arrival_s - self._began_s >= WINDOW_S:
            self._began_s = arrival_s
            self._before_s, self._now_s = self._now_s, math.inf
        self._now_s = min(self._now_s, offset_s)
        return min(self._before_s, self._now_s)
