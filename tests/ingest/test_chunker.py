from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.chunker import chunk_frames
from ingest.errors import CameraLostError
from ingest.frame import Frame, FrameChunk

gaps = st.lists(st.floats(0.3, 8.0), max_size=60)


def frames_at(times: list[float], sizes: list[int] | None = None) -> list[Frame]:
    sizes = sizes or [4] * len(times)
    return [
        Frame(np.full((size, 4, 3), number % 256, np.uint8), time_s)
        for number, (time_s, size) in enumerate(zip(times, sizes, strict=True))
    ]


def chunk(frames: list[Frame], num_frames: int, fps: float = 1.0) -> list[FrameChunk]:
    return list(chunk_frames("door", frames, num_frames, fps))


@given(gaps, st.integers(1, 9))
def test_every_frame_is_in_one_chunk_and_in_order(between: list[float], n: int):
    times = list(1.7e9 + np.cumsum([1.0, *between]))
    chunks = chunk(frames_at(times), n)
    assert [time_s for c in chunks for time_s in c.times_s] == times
    numbers = [int(pixels[0, 0, 0]) for c in chunks for pixels in c.pixels]
    assert numbers == list(range(len(times)))


@given(gaps, st.integers(1, 9))
def test_chunks_do_not_overlap_and_no_gap_is_inside_one(between: list[float], n: int):
    times = list(1.7e9 + np.cumsum([1.0, *between]))
    chunks = chunk(frames_at(times), n)
    for c, following in pairwise(chunks):
        assert c.end_s == min(c.times_s[-1] + 1, following.start_s)
        full = len(c.times_s) == n
        assert full or following.start_s - c.times_s[-1] > 3
    for c in chunks:
        assert len(c.times_s) <= n
        assert np.all(np.diff(c.times_s) <= 3)
    assert chunks[-1].end_s == times[-1] + 1


def test_another_size_of_frame_closes_a_chunk():
    chunks = chunk(frames_at([1.0, 2.0, 3.0, 4.0], [4, 4, 6, 6]), 4)
    assert [c.pixels.shape for c in chunks] == [(2, 4, 4, 3), (2, 6, 4, 3)]


def test_a_cut_to_another_view_closes_a_chunk_of_two_frames_or_more():
    checks = np.indices((64, 64)).sum(axis=0) // 8 % 2 * 255
    views = {"a": checks, "b": checks.T[::-1] // 2 + 20}
    shown = "aaabbaba"
    frames = [
        Frame(np.repeat(views[view].astype(np.uint8)[..., None], 3, axis=2), 1.0 + n)
        for n, view in enumerate(shown)
    ]
    lengths = [len(c.times_s) for c in chunk(frames, 8)]
    assert lengths == [3, 2, 2, 1]  # a flicker ends a chunk of two, never of one


@given(gaps, st.floats(1, 20))
def test_a_chunk_is_no_longer_than_it_may_be(between: list[float], max_s: float):
    times = list(1.7e9 + np.cumsum([1.0, *between]))
    chunks = list(chunk_frames("door", frames_at(times), 50, 1.0, max_s))
    assert all(c.times_s[-1] - c.times_s[0] <= max_s for c in chunks)
    assert [time_s for c in chunks for time_s in c.times_s] == times


def test_frames_before_a_loss_are_given_out():
    def broken() -> Iterator[Frame]:
        yield from frames_at([1.0, 2.0, 3.0])
        raise CameraLostError("rtsp://door", "the stream ended")

    chunks = chunk_frames("door", broken(), 2, 1.0)
    assert [len(next(chunks).times_s), len(next(chunks).times_s)] == [2, 1]
    with pytest.raises(CameraLostError):
        next(chunks)


def test_nothing_comes_of_nothing():
    assert chunk([], 4) == []


@given(st.floats(0, 12))
def test_since_keeps_the_frames_from_a_time_on(time_s: float):
    [whole] = chunk(frames_at([float(t) for t in range(1, 11)]), 10)
    part = whole.since(time_s)
    kept = [] if part is None else list(part.times_s)
    assert kept == [t for t in whole.times_s if t >= time_s]
    assert part is None or part.end_s == whole.end_s
