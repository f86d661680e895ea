"""How sampled frames become chunks: so many at a time, never across a gap."""

from collections.abc import Iterable, Iterator

import numpy as np

from ingest.errors import CameraError
from ingest.frame import Frame, FrameChunk

MAX_GAP_INTERVALS = 3


def chunk_frames(
    camera: str, frames: Iterable[Frame], num_frames: int, fps: float
) -> Iterator[FrameChunk]:
    """Give chunks of `num_frames` frames; shorter ones before a break and at the end.

    A chunk ends one frame interval after its last frame, or where the next chunk begins
    if that is earlier, so chunks never overlap. It is given out when the frame after it
    comes. A gap of more than three intervals, or another size of frame, is a break.

    Args:
        camera: Name of the camera.
        frames: Sampled frames, their times increasing.
        num_frames: Frames in a full chunk.
        fps: Sampled frames per second.

    Raises:
        CameraError: What `frames` raised, after the frames before it were given out.
    """
    batch: list[Frame] = []
    try:
        for frame in frames:
            if batch and (len(batch) == num_frames or _breaks(batch[-1], frame, fps)):
                yield _close(camera, batch, min(_due_s(batch, fps), frame.time_s))
                batch = []
            batch.append(frame)
    except CameraError:
        if batch:
            yield _close(camera, batch, _due_s(batch, fps))
        raise
    if batch:
        yield _close(camera, batch, _due_s(batch, fps))


def _breaks(last: Frame, frame: Frame, fps: float) -> bool:
    too_late = frame.time_s - last.time_s > MAX_GAP_INTERVALS / fps
    return too_late or frame.pixels.shape != last.pixels.shape


def _due_s(batch: list[Frame], fps: float) -> float:
    return batch[-1].time_s + 1 / fps


def _close(camera: str, batch: list[Frame], end_s: float) -> FrameChunk:
    return FrameChunk(
        camera=camera,
        pixels=np.stack([frame.pixels for frame in batch]),
        times_s=np.array([frame.time_s for frame in batch], np.float64),
        end_s=end_s,
    )
