"""What passes from a camera to the model: frames, and chunks of frames.

Times are seconds since the Unix epoch in UTC: the same number means the same moment in
every process, in the archive and after a restart.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture and when it was taken.

    Attributes:
        pixels: RGB, (height, width, 3), uint8.
        time_s: UTC, seconds since the Unix epoch.
    """

    pixels: NDArray[np.uint8]
    time_s: float

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"a frame is (height, width, 3), not {self.pixels.shape}")
        if self.pixels.dtype != np.uint8:
            raise ValueError(f"a frame is uint8, not {self.pixels.dtype}")


@dataclass(frozen=True, slots=True, eq=False)
class FrameChunk:
    """Consecutive sampled frames of one camera that go through the model together.

    A chunk covers the half-open time [start_s, end_s): it begins with its first frame
    and ends where the next frame is due.

    Attributes:
        camera: Name of the camera.
        pixels: RGB, (num_frames, height, width, 3), uint8.
        times_s: UTC of each frame, (num_frames,), float64, increasing.
        end_s: UTC at which the chunk ends, later than its last frame.
    """

    camera: str
    pixels: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    end_s: float

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise ValueError(f"pixels are (frames, h, w, 3), not {self.pixels.shape}")
        if self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels are uint8, not {self.pixels.dtype}")
        if self.times_s.shape != self.pixels.shape[:1] or not len(self.times_s):
            raise ValueError("a chunk needs one time per frame, and at least one frame")
        if np.any(np.diff(self.times_s) <= 0):
            raise ValueError("frame times must increase")
        if self.end_s <= self.times_s[-1]:
            raise ValueError("a chunk ends after its last frame")

    @property
    def start_s(self) -> float:
        """UTC of the first frame."""
        return float(self.times_s[0])

    def since(self, time_s: float) -> "FrameChunk | None":
        """Give the part of the chunk from a time on, or None if there is none."""
        first = int(np.searchsorted(self.times_s, time_s))
        if first == 0:
            return self
        if first == len(self.times_s):
            return None
        return replace(self, pixels=self.pixels[first:], times_s=self.times_s[first:])
