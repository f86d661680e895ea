"""When a frame was taken: UTC from what a stream says and when it arrives.

The clock of the machine is read once: a step of it does not make stamps jump while a
reader runs.
"""

import math
import sys
import time
from collections.abc import Callable

TRUST_S = 30.0  # a camera's clock may differ so much from ours
TRUST_AGAIN_S = 15.0  # so much once it differed more: jitter must not decide
MAX_JUMP_S = 5.0  # pts may run so far ahead of all arrivals
WINDOW_S = 60.0  # in which a delay counts, and the one before it

_SAME_ORIGIN_S = 2e-6  # of one sender report; another differs by a tick's rounding
_STEP_S = 1e-6  # between two stamps, at least
_LOOK_ROUND_S = 0.5


def _steady_s() -> float:
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while suspended
    return time.monotonic()


_EPOCH_S = time.time() - _steady_s()


def utc_now() -> float:
    """Give the time in UTC, seconds since the Unix epoch; it never steps back."""
    return _EPOCH_S + _steady_s()


def wait_until(time_s: float, alive: Callable[[float], None]) -> None:
    """Wait until a moment in UTC, and say now and then that waiting is on purpose."""
    while (left_s := time_s - utc_now()) > 0:
        alive(utc_now())
        time.sleep(min(left_s, _LOOK_ROUND_S))  # a camera's own process: nobody waits


class FrameClock:
    """Stamps the frames of a live stream with UTC; a pure function of what it is told.

    Where the camera tells the UTC of its frames (RTCP), a stamp is that, unless its
    clock is further than `TRUST_S` from ours: many cameras have never had it set.

    Else it is pts plus the smallest delay between pts and arrival of the last minute or
    two: a frame is never later than its arrival, one that was held up on its way is put
    where it belongs, and a clock that runs fast or slow is followed. When pts go back,
    or run ahead of all arrivals by `MAX_JUMP_S`, it begins anew from arrival.

    Stamps always increase. After a clock was set back they run at half the speed until
    it has caught up, so that nothing is left out. `docs/time.md` has the rules.
    """

    def __init__(self) -> None:
        self._last_pts_s: float | None = None
        self._last_arrival_s = math.inf
        self._last_s = -math.inf
        self._least = _LeastOffset()
        self._camera = _CameraClock()

    @property
    def disbelieved_s(self) -> float | None:
        """By how much the camera's clock is ahead of ours, if it is not believed."""
        return None if self._camera.is_believed else self._camera.told_ahead_s

    def stamp(
        self, pts_s: float | None, arrival_s: float, origin_s: float | None = None
    ) -> float:
        """Give the UTC of a frame, later than that of the frame before it.

        Args:
            pts_s: Its time inside the stream, if it has one.
            arrival_s: UTC at which it arrived.
            origin_s: UTC of pts 0 by the camera's own clock, if it tells.
        """
        passed_s = arrival_s - self._last_arrival_s
        taken_s = arrival_s  # by our clock
        if pts_s is not None:
            if self._last_pts_s is not None and not self._jumps(pts_s, arrival_s):
                passed_s = pts_s - self._last_pts_s
            taken_s = pts_s + self._least.add(arrival_s, arrival_s - pts_s)
            self._camera.note(origin_s, taken_s - pts_s)
            self._last_pts_s = pts_s
        stamp_s = taken_s + self._camera.ahead_s
        self._last_s = max(stamp_s, self._earliest_s(passed_s, arrival_s))
        self._last_arrival_s = arrival_s
        return self._last_s

    def _jumps(self, pts_s: float, arrival_s: float) -> bool:
        """Tell whether pts jump, and begin anew if they do."""
        before_s = self._last_pts_s or 0.0
        is_ahead = arrival_s - pts_s < self._least.value_s - MAX_JUMP_S
        if not is_ahead and pts_s >= before_s:
            return False
        if is_ahead or pts_s < before_s - MAX_JUMP_S:
            self._camera.doubt()
        self._least = _LeastOffset()
        return True

    def _earliest_s(self, passed_s: float, arrival_s: float) -> float:
        """Give what a stamp must not be earlier than, to run on at half the speed."""
        latest_s = arrival_s + max(self._camera.ahead_s, 0.0)
        if self._last_s < latest_s - _STEP_S:
            return min(self._last_s + max(passed_s / 2, _STEP_S), latest_s)
        waited_s = arrival_s - self._last_arrival_s
        return self._last_s + max(waited_s / 2, _STEP_S)


class _CameraClock:
    """What a camera tells of its own clock, and whether it is believed."""

    def __init__(self) -> None:
        self.ahead_s = 0.0  # of ours, as far as stamps follow it
        self.told_ahead_s = 0.0
        self.is_believed = True
        self._origin_s: float | None = None
        self._doubted_s: float | None = None

    def note(self, origin_s: float | None, least_s: float) -> None:
        """Note the UTC of pts 0, by the camera's clock and by the quickest arrival."""
        self._origin_s = origin_s
        if origin_s is None:
            self.ahead_s = 0.0
            return
        doubted_s = self._doubted_s
        if doubted_s is not None and abs(origin_s - doubted_s) < _SAME_ORIGIN_S:
            return  # told of the pts before they jumped: what was known holds
        self._doubted_s = None
        self.told_ahead_s = origin_s - least_s
        limit_s = TRUST_S if self.is_believed else TRUST_AGAIN_S
        self.is_believed = abs(self.told_ahead_s) <= limit_s
        self.ahead_s = self.told_ahead_s if self.is_believed else 0.0

    def doubt(self) -> None:
        """Don't believe what was last told, until something else is told."""
        self._doubted_s = self._origin_s


class _LeastOffset:
    """The least offset of the last one to two windows."""

    def __init__(self) -> None:
        self._began_s = -math.inf
        self._before_s = self._now_s = math.inf

    @property
    def value_s(self) -> float:
        """The least, infinite before the first."""
        return min(self._before_s, self._now_s)

    def add(self, arrival_s: float, offset_s: float) -> float:
        """Add an offset, and give the least."""
        if arrival_s - self._began_s >= WINDOW_S:
            self._began_s = arrival_s
            self._before_s, self._now_s = self._now_s, math.inf
        self._now_s = min(self._now_s, offset_s)
        return self.value_s
