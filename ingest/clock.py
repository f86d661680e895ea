"""When a frame was taken: UTC from what a stream says and when it arrives.

The clock of the machine is read once: a step of it does not make stamps jump while a
reader runs.
"""

import time
from collections.abc import Callable

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

    Where the camera tells the UTC of pts 0 (RTCP), a stamp is that plus pts, unless it
    is further than `trust_s` from the arrival: many cameras have never had their clock
    set.

    Else it is pts plus the smallest delay between pts and arrival seen so far: a frame
    is never later than its arrival, and one that was held up on its way is put where it
    belongs. A jump of pts beyond `max_jump_s` or backwards, and a drift beyond it,
    begin anew from arrival.
    """

    def __init__(self, max_jump_s: float = 5.0, trust_s: float = 30.0) -> None:
        self._max_jump_s = max_jump_s
        self._trust_s = trust_s
        self._last_pts_s: float | None = None
        self._offset_s = 0.0

    def stamp(
        self, pts_s: float | None, arrival_s: float, origin_s: float | None = None
    ) -> float:
        """Give the UTC of a frame.

        Args:
            pts_s: Its time inside the stream, if it has one.
            arrival_s: UTC at which it arrived.
            origin_s: UTC of pts 0 by the camera's own clock, if it tells.
        """
        if pts_s is None:
            return arrival_s
        if origin_s is not None and abs(origin_s + pts_s - arrival_s) <= self._trust_s:
            return origin_s + pts_s
        offset_s = arrival_s - pts_s
        if self._goes_on(pts_s) and abs(offset_s - self._offset_s) <= self._max_jump_s:
            offset_s = min(offset_s, self._offset_s)
        self._last_pts_s, self._offset_s = pts_s, offset_s
        return offset_s + pts_s

    def _goes_on(self, pts_s: float) -> bool:
        last_s = self._last_pts_s
        return last_s is not None and 0 <= pts_s - last_s <= self._max_jump_s
