"""Which frames of a stream are looked at: more where something happens.

Frames are considered on a regular grid, the finest there is need for. It is laid when
the stream begins, its first tick on the first frame, and never moved: sampling does not
drift. A frame a little early for a tick counts as on time, so that a stream that comes
at the sampled rate with some jitter keeps all its frames.

Of those considered, one that differs from the last one kept is kept: at the base rate
if it differs at all, at the burst rate if something moves. Compared with the last one
kept, what changes slowly adds up. However little happens, the floor rate is kept.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ingest.motion import Cells, change

CALM_S = 10.0  # without motion: nothing is happening
_MAX_EARLY = 0.25  # of the time between ticks


class Timed(Protocol):
    """Anything with a time."""

    @property
    def time_s(self) -> float:
        """UTC, seconds since the Unix epoch."""


class Viewed(Timed, Protocol):
    """Anything with a time and a picture."""

    def cells(self) -> Cells:
        """Give the picture's mean luma, cell by cell."""


TimedT = TypeVar("TimedT", bound=Timed)
ViewedT = TypeVar("ViewedT", bound=Viewed)


@dataclass(frozen=True, slots=True)
class Rates:
    """How many frames a second are looked at.

    Attributes:
        floor: At least, whatever happens.
        base: While anything differs.
        burst: While something moves.
        motion: Share of the picture that has to change for that, 0 to 1.
    """

    floor: float
    base: float
    burst: float
    motion: float

    @property
    def is_steady(self) -> bool:
        """Whether they are one and the same."""
        return self.floor == self.base == self.burst


class Sampler:
    """Samples one stream, and knows whether something happens in it.

    At one steady rate pictures are not compared: it is never calm.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._moved_s = math.inf  # nothing was seen yet
        self._now_s = -math.inf

    @property
    def is_calm(self) -> bool:
        """Whether nothing has moved for a while."""
        return self._now_s - self._moved_s >= CALM_S

    def sample(self, frames: Iterable[ViewedT]) -> Iterator[ViewedT]:
        """Give the frames to look at, their times increasing.

        Args:
            frames: Frames, or what will become one, in the order of the stream.
        """
        considered = sample_frames(frames, self._rates.burst)
        return considered if self._rates.is_steady else self._thin(considered)

    def _thin(self, frames: Iterable[ViewedT]) -> Iterator[ViewedT]:
        rates = self._rates
        slack_s = 0.5 / rates.burst  # frames are not on their ticks
        kept: tuple[float, Cells] | None = None
        for frame in frames:
            cells = frame.cells()
            differs = change(kept[1], cells) if kept else 1.0
            waited_s = frame.time_s - kept[0] if kept else math.inf
            is_moving = differs >= rates.motion
            if is_moving:
                self._moved_s = frame.time_s
            self._now_s = frame.time_s
            is_due = waited_s >= 1 / rates.floor - slack_s
            is_new = differs > 0 and waited_s >= 1 / rates.base - slack_s
            if is_moving or is_new or is_due:
                kept = frame.time_s, cells
                yield frame


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
