"""Real clips of fixed cameras, and when something happens in them.

By Intel, CC BY 4.0 (intel-iot-devkit/sample-videos at 5797889). They are not part of
the repository: they lie in `shared/videos`, beside it. Events as their README tells
them, by eye, half a second or a second inaccurate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.errors import BenchmarkError

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "videos"

Span = tuple[float, float]

EVENTS: Mapping[str, Sequence[Span]] = {
    "one-by-one-person-detection.mp4": [
        (6, 20),
        (23, 45),
        (50, 70),
        (74.5, 87),
        (92, 120),
        (123.5, 136),
    ],
    "car-detection.mp4": [
        (4.6, 8.5),
        (14.8, 18),
        (15.2, 19),
        (15.3, 17.8),
        (25.4, 27.6),
    ],
    "bottle-detection.mp4": [
        (6.1, 7.5),  # the left one is taken,
        (11, 13.5),  # and put back
        (16, 17.5),  # two are taken,
        (22.5, 24),  # and put back one by one
        (27.5, 29),
        (31.3, 32.5),  # the right one,
        (35, 36.5),  # and back
    ],
}


class NoClipsError(BenchmarkError, FileNotFoundError):
    """Clips are not where they should be."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(f"there is no {', no '.join(names)} in {folder}")
        self.folder, self.names = folder, tuple(names)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of one camera.

    Attributes:
        path: Where it lies.
        events: When something happens in it, seconds from its first frame.
        size: Width and height.
        frames: How many it has.
        seconds: How long it is.
    """

    path: Path
    events: tuple[Span, ...]
    size: tuple[int, int]
    frames: int
    seconds: float

    @property
    def name(self) -> str:
        """Its name, without the ending."""
        return self.path.stem


def find_clips(folder: Path) -> list[Clip]:
    """Give the clips whose events are known.

    Raises:
        NoClipsError: One of them is not there.
    """
    missing = [name for name in EVENTS if not (folder / name).is_file()]
    if missing:
        raise NoClipsError(folder, missing)
    return [read_clip(folder / name, events) for name, events in EVENTS.items()]


def read_clip(path: Path, events: Sequence[Span]) -> Clip:
    """Count a clip's frames; nothing is decoded."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = sum(bool(packet.size) for packet in container.demux(stream))
        size, length_us = (stream.width, stream.height), container.duration or 0
    return Clip(path, tuple(events), size, frames, length_us / av.time_base)
