"""What is known about a camera: is it being watched, and when was it not."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from ingest.clock import utc_now
from ingest.errors import CameraError
from ingest.frame import FrameChunk

MAX_GAPS = 1000
_SLACK_INTERVALS = 3  # a pause of so many frames is no gap; the chunker's own bound


class CameraState(StrEnum):
    """How a camera is doing."""

    STARTING = "starting"
    ONLINE = "online"
    STALLED = "stalled"
    OFFLINE = "offline"
    PAUSED = "paused"
    ENDED = "ended"


class GapReason(StrEnum):
    """Why a time was not watched."""

    DROPPED = "dropped"
    STALLED = "stalled"
    OFFLINE = "offline"
    PAUSED = "paused"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera is doing at one moment.

    Attributes:
        state: Watched or not.
        last_frame_s: UTC of the newest frame, None before the first.
        num_chunks: Chunks taken from the camera, dropped ones included.
        dropped_chunks: Chunks lost because the consumer was behind.
        reconnects: How many times its reader was started again.
        error: Name and message of the last error since it was last online, redacted.
    """

    state: CameraState
    last_frame_s: float | None
    num_chunks: int
    dropped_chunks: int
    reconnects: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time that was not watched.

    Attributes:
        start_s: UTC at which it begins.
        end_s: UTC at which it ends; a gap that goes on ends now.
        reason: Why.
    """

    start_s: float
    end_s: float
    reason: GapReason


class CameraRecord:
    """Keeps account of one camera: a state, counts, the newest thousand gaps."""

    def __init__(self, fps: float) -> None:
        self._slack_s = _SLACK_INTERVALS / fps
        self._interval_s = 1 / fps
        self._state = CameraState.STARTING
        self._error: str | None = None
        self._last_frame_s: float | None = None
        self._num_chunks = 0
        self._dropped_chunks = 0
        self._reconnects = 0
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)
        self._seen_until_s = utc_now()
        self._outage: GapReason | None = None

    @property
    def status(self) -> CameraStatus:
        """How the camera is doing now."""
        return CameraStatus(
            state=self._state,
            last_frame_s=self._last_frame_s,
            num_chunks=self._num_chunks,
            dropped_chunks=self._dropped_chunks,
            reconnects=self._reconnects,
            error=self._error,
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times not watched, oldest first, with one that goes on as the last."""
        now_s = utc_now()
        if self._outage is None or now_s <= self._seen_until_s:
            return tuple(self._gaps)
        return (*self._gaps, Gap(self._seen_until_s, now_s, self._outage))

    @property
    def seen_until_s(self) -> float:
        """UTC up to which chunks have come; at first, when the record began."""
        return self._seen_until_s

    def note_frame(self, time_s: float) -> None:
        """Note that a frame has come."""
        self._state, self._error = CameraState.ONLINE, None
        self._last_frame_s = max(time_s, self._last_frame_s or time_s)

    def note_chunk(self, chunk: FrameChunk) -> None:
        """Note that a chunk has come, and the gap before it."""
        self.note_frame(float(chunk.times_s[-1]))
        missing_s = chunk.start_s - self._seen_until_s
        if self._outage and missing_s > self._interval_s:
            self._note_gap(chunk, self._outage)
        elif self._num_chunks and missing_s > self._slack_s:
            self._note_gap(chunk, GapReason.STALLED)
        self._outage = None
        self._seen_until_s = chunk.end_s
        self._num_chunks += 1

    def _note_gap(self, chunk: FrameChunk, reason: GapReason) -> None:
        self._gaps.append(Gap(self._seen_until_s, chunk.start_s, reason))

    def note_drop(self, chunk: FrameChunk) -> None:
        """Note that a chunk was lost; drops in a row are one gap."""
        self._dropped_chunks += 1
        start_s = chunk.start_s
        if self._gaps and self._gaps[-1].reason is GapReason.DROPPED:
            last = self._gaps[-1]
            if start_s - last.end_s <= self._slack_s:
                start_s = self._gaps.pop().start_s
        self._gaps.append(Gap(start_s, chunk.end_s, GapReason.DROPPED))

    def note_outage(self, error: CameraError | str, reason: GapReason) -> None:
        """Note that the camera is not being watched, until the next chunk."""
        self._state = CameraState(reason.value)
        self._error = error if isinstance(error, str) else describe(error)
        self._outage = reason

    def note_pause(self, *, is_gap: bool) -> None:
        """Note that it is not to be watched from now on, and whether that misses any.

        An outage that went on ends here.
        """
        self._end_outage()
        self._state, self._error = CameraState.PAUSED, None
        self._outage = GapReason.PAUSED if is_gap else None

    def note_resumption(self) -> None:
        """Note that it is to be watched again; what was missed is not made up for.

        Until the first chunk it still misses what it misses because of the pause.
        """
        reason = self._outage
        self._end_outage()
        self._state, self._outage = CameraState.STARTING, reason

    def _end_outage(self) -> None:
        """Keep a gap that went on until now as one that is over."""
        now_s = utc_now()
        if self._outage is None or now_s <= self._seen_until_s:
            return
        self._gaps.append(Gap(self._seen_until_s, now_s, self._outage))
        self._seen_until_s, self._outage = now_s, None

    def note_reconnect(self) -> None:
        """Note that a reader is started again."""
        self._reconnects += 1

    def note_end(self) -> None:
        """Note that the stream is over, as it should be."""
        self._state = CameraState.ENDED
        self._outage = None


def describe(error: CameraError) -> str:
    """Give the name and the message of an error; it is redacted already."""
    return f"{type(error).__name__}: {error}"
