"""Which frames of a stream are looked at: one for each tick of a regular grid.

The grid is laid when the stream begins, its first tick on the first frame, and never
moved: sampling does not drift. A frame a little early for a tick counts as on time, so
that a stream that comes at the sampled rate with some jitter keeps all its frames.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_MAX_EARLY = 0.25  # of the time between ticks


class Timed(Protocol):
    """Anything with a time."""

    @property
    def time_s(self) -> float:
        """UTC, seconds since the Unix epoch."""


TimedT = TypeVar("TimedT", bound=Timed)


def sample_frames(frames: Iterable[TimedT], fps: float) -> Iterator[TimedT]:
    """Give the first frame at or after each tick, at most one for a tick.

    A frame may be early by half the time since the frame before it, at most by a
    quarter of the time between ticks. One that is not later than the tick of the last
    one given is passed over, so the times of what comes out increase.

    Args:
        frames: Frames, or what will become one, in the order of the stream.
        fps: Ticks per second.
    """
    origin_s: float | None = None
    before_s = math.inf
    last_tick = -1
    for frame in frames:
        if origin_s is None:
            origin_s = frame.time_s
        early_s = min(max(frame.time_s - before_s, 0) / 2, _MAX_EARLY / fps)
        tick = math.floor((frame.time_s - origin_s + early_s) * fps)
        if tick > last_tick:
            last_tick = tick
            yield frame
        before_s = frame.time_s
