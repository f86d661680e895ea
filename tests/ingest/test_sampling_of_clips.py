"""Real clips: whatever happens in them is sampled, what is still is mostly skipped.

Events and their beginnings are told by eye, half a second or a second inaccurate.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sampling_clips import EVENTS
from ingest.camera import read_frames
from ingest.settings import CameraSettings, Decoding

RATES = {"floor_fps": 0.2, "fps": 1.0, "burst_fps": 4.0}
EMPTY = {  # the inner part of what is empty: where it begins and ends is inaccurate
    "one-by-one-person-detection.mp4": [(1, 5), (47, 49), (71.5, 73.5), (89, 91)],
    "car-detection.mp4": [(1.5, 3.5), (11, 13), (20.5, 24)],
    "bottle-detection.mp4": [(8.5, 10.5), (19.5, 21), (25.5, 26.5)],
}


def sampled(path: Path, decoding: Decoding) -> np.ndarray:
    camera = CameraSettings(
        name="door", address=str(path), realtime=False, decoding=decoding, **RATES
    )
    times = np.array([frame.time_s for frame in read_frames(camera)])
    return times - times[0]


def count(times: np.ndarray, spans: Sequence[tuple[float, float]]) -> list[int]:
    return [int(np.sum((a <= times) & (times <= b))) for a, b in spans]


@pytest.mark.parametrize("decoding", [Decoding.ALL, Decoding.CALM_KEYFRAMES])
@pytest.mark.parametrize("name", EVENTS)
def test_each_event_is_sampled_twice_or_more(
    clips: Path, name: str, decoding: Decoding
):
    times = sampled(clips / name, decoding)
    assert min(count(times, EVENTS[name])) >= 2
    still = sum(count(times, EMPTY[name]))
    seconds = sum(end - start for start, end in EMPTY[name])
    assert still <= seconds  # once a second; four times where something moves
    assert np.all(np.diff(times) > 0)
