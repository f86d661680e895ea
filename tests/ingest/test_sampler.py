import math
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.sampler import sample_frames


@dataclass(frozen=True)
class Tick:
    time_s: float


times = st.lists(st.floats(1.7e9, 1.7e9 + 200), min_size=1, max_size=200)
rates = st.sampled_from([0.1, 0.5, 1.0, 2.0, 4.0, 10.0])


def sample(at: list[float], fps: float) -> list[float]:
    return [frame.time_s for frame in sample_frames(map(Tick, at), fps)]


@given(times, rates)
def test_each_tick_gets_the_first_frame_that_is_not_too_early(
    at: list[float], fps: float
):
    at = sorted(set(at))
    ticks = [
        math.floor((time_s - at[0] + min((time_s - before_s) / 2, 0.25 / fps)) * fps)
        for before_s, time_s in zip([at[0], *at], at, strict=False)
    ]
    due = [
        time_s
        for number, time_s in enumerate(at)
        if all(tick < ticks[number] for tick in ticks[:number])
    ]
    assert sample(at, fps) == due


@given(times, rates)
def test_times_increase_even_if_those_of_the_stream_do_not(at: list[float], fps: float):
    kept = sample(at, fps)
    assert kept[0] == at[0]
    assert all(a < b for a, b in pairwise(kept))


@given(st.integers(1, 5), st.integers(2, 30))
def test_sampling_does_not_drift(fps: int, times_faster: int):
    source_fps = fps * times_faster * 1.01  # not a multiple
    at = [1.7e9 + number / source_fps for number in range(2000)]
    kept = sample(at, fps)
    for number, time_s in enumerate(kept):
        late_s = time_s - (at[0] + number / fps)
        assert abs(late_s) <= 0.5 / source_fps + 1e-6


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=60), rates)
def test_a_stream_at_the_sampled_rate_keeps_all_frames(jitter: list[float], fps: float):
    at = [1.7e9 + number / fps for number in range(len(jitter) + 1)]
    at[1:] = [time_s + late / fps for time_s, late in zip(at[1:], jitter, strict=True)]
    assert sample(at, fps) == at


def test_nothing_comes_of_nothing():
    assert sample([], 1.0) == []
