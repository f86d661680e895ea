"""How one camera is read: its address, sampling, time-outs and buffer."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from ingest.errors import AddressError
from ingest.films import Recording
from ingest.sampler import Rates
from ingest.simulation.address import is_simulated, parse_simulated

MAX_CHUNK_S = 3600
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FORMAT = re.compile(r"[A-Za-z0-9_,.-]{1,64}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Decoding(StrEnum):
    """Which frames are decoded."""

    ALL = "all"
    CALM_KEYFRAMES = "calm_keyframes"  # keyframes only, while nothing moves
    KEYFRAMES = "keyframes"


class HandOff(StrEnum):
    """What happens to chunks while the consumer is behind."""

    DROP_OLDEST = "drop_oldest"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """How to read one camera.

    Attributes:
        name: Letters, digits, `-` and `_`, at most 64.
        address: A file, anything FFmpeg opens by URL, or `simulated:?seed=7`. It may
            hold credentials, so it is not shown by `repr`.
        format: FFmpeg's name of the input format; None: FFmpeg finds out.
        fps: Sampled frames per second, unless one of the next two is set.
        burst_fps: The same while something moves; None is `fps`.
        floor_fps: The same while nothing differs; None is `fps`.
        motion: Share of the picture that has to change for a burst.
        decoding: Which frames are decoded at all.
        chunk_frames: Frames in a full chunk.
        max_chunk_s: From a chunk's first frame to its last; None is no bound besides.
        max_side: Longer side of a frame in pixels; larger ones are scaled down to it.
        realtime: Files and simulated backlogs: play at their own pace, and not as fast
            as they are taken.
        open_timeout_s: How long opening may take.
        stall_timeout_s: Age of the newest frame at which the reader is killed.
        buffer_chunks: How many chunks wait for the consumer.
        reader_bytes: Most memory of the process that reads; one that takes more is
            replaced.
        recording: Where its packets are kept as films, None for nowhere. Only what is
            live is.
        options: FFmpeg options; they win over ours. Not shown by `repr`.
    """

    name: str
    address: str = field(repr=False)
    format: str | None = None
    fps: float = 1.0
    burst_fps: float | None = None
    floor_fps: float | None = None
    motion: float = 0.002
    decoding: Decoding = Decoding.ALL
    chunk_frames: int = 8
    max_chunk_s: float | None = None
    max_side: int = 448
    realtime: bool = True
    open_timeout_s: float = 10.0
    stall_timeout_s: float = 10.0
    buffer_chunks: int = 4
    reader_bytes: int = 1 << 30
    recording: Recording | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a camera's name is letters, digits, '-' and '_', not {self.name!r}"
            )
        _check_address(self.address)
        if self.format is not None and not _FORMAT.fullmatch(self.format):
            raise ValueError(f"no input format is called {self.format!r}")
        for name in ("burst_fps", "floor_fps", "fps"):
            if (rate := getattr(self, name)) is not None:
                _check(name, rate, at_most=120)
        _check("motion", self.motion, at_most=1)
        if not self.rates.floor <= self.fps <= self.rates.burst:
            raise ValueError("floor_fps is at most fps, burst_fps at least fps")
        _check("chunk_frames", self.chunk_frames, at_least=1, at_most=1024)
        _check("max_side", self.max_side, at_least=16, at_most=8192)
        _check("open_timeout_s", self.open_timeout_s)
        _check("stall_timeout_s", self.stall_timeout_s)
        _check("buffer_chunks", self.buffer_chunks, at_least=1)
        _check("reader_bytes", self.reader_bytes, at_least=1 << 27)
        if self.max_chunk_s is None and self.longest_chunk_s > MAX_CHUNK_S:
            text = f"a chunk may take {self.longest_chunk_s:g} s: set max_chunk_s"
            raise ValueError(f"{text}, up to {MAX_CHUNK_S}")
        _check("max_chunk_s", self.longest_chunk_s, at_most=MAX_CHUNK_S)
        for key, value in self.options.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise AddressError(self.address, f"option {key!r} must be a text")

    @property
    def rates(self) -> Rates:
        """How many frames a second are looked at."""
        floor_fps = self.fps if self.floor_fps is None else self.floor_fps
        burst_fps = self.fps if self.burst_fps is None else self.burst_fps
        return Rates(floor_fps, self.fps, burst_fps, self.motion)

    @property
    def longest_chunk_s(self) -> float:
        """How long a chunk may get."""
        longest_s = self.chunk_frames / self.rates.floor
        return longest_s if self.max_chunk_s is None else self.max_chunk_s

    @property
    def is_simulated(self) -> bool:
        """Whether the camera is a simulated one."""
        return is_simulated(self.address)

    @property
    def is_file(self) -> bool:
        """Whether the address names a file of its own length and pace."""
        scheme = _SCHEME.match(self.address)
        if scheme:
            return scheme[1] == "file"
        return not self.is_simulated and not self.address.startswith("/dev/")

    @property
    def is_live(self) -> bool:
        """Whether what it shows goes on, read or not: everything but a file."""
        return not self.is_file

    @property
    def hand_off(self) -> HandOff:
        """What happens while the consumer is behind.

        Chunks are dropped, oldest first, where the world goes on meanwhile. A file, or
        a simulated camera's backlog, that is played as fast as it is taken waits.
        """
        can_wait = self.is_file or self.is_simulated
        if can_wait and not self.realtime:
            return HandOff.WAIT
        return HandOff.DROP_OLDEST


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a reader takes up a file or a simulated camera after one that died.

    Attributes:
        began_s: UTC at which playing began.
        from_s: UTC up to which frames have been seen.
    """

    began_s: float
    from_s: float


@dataclass(frozen=True, slots=True)
class ReaderRequest:
    """What a reader process is told when it starts.

    Attributes:
        settings: The camera to read.
        parent_pid: The process without which the reader has no business.
        resume: Where to go on, or None to begin.
    """

    settings: CameraSettings
    parent_pid: int
    resume: Resume | None

    def to_json(self) -> bytes:
        """Write the request as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "ReaderRequest":
        """Read what `to_json` wrote."""
        plain = json.loads(text)
        resume, settings = plain["resume"], plain["settings"]
        if settings["recording"]:
            settings["recording"] = Recording(**settings["recording"])
        return cls(
            settings=CameraSettings(**settings),
            parent_pid=plain["parent_pid"],
            resume=Resume(**resume) if resume else None,
        )


def _check_address(address: str) -> None:
    if not address.strip():
        raise AddressError(address, "an address is needed")
    if any(ord(character) < 32 for character in address):
        raise AddressError(repr(address), "an address has no control characters")
    if is_simulated(address):
        parse_simulated(address)


def _check(
    name: str, value: float, *, at_least: float | None = None, at_most: float = math.inf
) -> None:
    if at_least is None and not 0 < value <= at_most:
        raise ValueError(f"{name} must be above 0{_upper(at_most)}, not {value}")
    if at_least is not None and not at_least <= value <= at_most:
        raise ValueError(f"{name} must be {at_least} or more{_upper(at_most)}: {value}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")


def _upper(at_most: float) -> str:
    return "" if at_most == math.inf else f", up to {at_most}"
