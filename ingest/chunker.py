"""How sampled frames become chunks: so many at a time, never across a gap or a cut."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from ingest.errors import CameraError
from ingest.frame import Frame, FrameChunk
from ingest.motion import Cells, cells_of_rgb, change

MAX_GAP_INTERVALS = 3
MIN_CUT_FRAMES = 2  # a chunk gets so long before a cut ends it: a flicker ends nothing
CUT = 0.8  # share of the picture that a cut to another view changes


def chunk_frames(
    camera: str,
    frames: Iterable[Frame],
    num_frames: int,
    fps: float,
    max_s: float = math.inf,
) -> Iterator[FrameChunk]:
    """Give chunks of `num_frames` frames; shorter ones before a break and at the end.

    A chunk ends one frame interval after its last frame, or where the next chunk begins
    if that is earlier, so chunks never overlap. It is given out when the frame after it
    comes. A gap of more than three intervals, a cut to another view, or another size of
    frame is a break.

    Args:
        camera: Name of the camera.
        frames: Sampled frames, their times increasing.
        num_frames: Frames in a full chunk.
        fps: Sampled frames per second, the least there are.
        max_s: From a chunk's first frame to its last.

    Raises:
        CameraError: What `frames` raised, after the frames before it were given out.
    """
    batch: list[Frame] = []
    before: Cells | None = None
    try:
        for frame in frames:
            cells = cells_of_rgb(frame.pixels)
            is_cut = before is not None and change(before, cells) > CUT
            is_over = len(batch) == num_frames
            is_over = is_over or (is_cut and len(batch) >= MIN_CUT_FRAMES)
            if batch and (is_over or _breaks(batch, frame, fps, max_s)):
                yield _close(camera, batch, min(_due_s(batch, fps), frame.time_s))
                batch = []
            batch.append(frame)
            before = cells
    except CameraError:
        if batch:
            yield _close(camera, batch, _due_s(batch, fps))
        raise
    if batch:
        yield _close(camera, batch, _due_s(batch, fps))


def _breaks(batch: list[Frame], frame: Frame, fps: float, max_s: float) -> bool:
    last = batch[-1]
    is_late = frame.time_s - last.time_s > MAX_GAP_INTERVALS / fps
    is_long = frame.time_s - batch[0].time_s > max_s
    return is_late or is_long or frame.pixels.shape != last.pixels.shape


def _due_s(batch: list[Frame], fps: float) -> float:
    return batch[-1].time_s + 1 / fps


def _close(camera: str, batch: list[Frame], end_s: float) -> FrameChunk:
    return FrameChunk(
        camera=camera,
        pixels=np.stack([frame.pixels for frame in batch]),
        times_s=np.array([frame.time_s for frame in batch], np.float64),
        end_s=end_s,
    )
