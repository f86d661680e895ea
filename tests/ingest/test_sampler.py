import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.motion import COLUMNS, ROWS, Cells
from ingest.sampler import CALM_S, Rates, Sampler, sample_frames


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


SOURCE_FPS = 10
RATES = Rates(floor=0.2, base=1.0, burst=5.0, motion=0.01)
SIZE = ROWS * COLUMNS


@dataclass(frozen=True)
class View:
    """A frame in which so many cells are lit."""

    time_s: float
    lit: int

    def cells(self) -> Cells:
        cells = np.zeros(SIZE, np.float32)
        cells[: self.lit] = 100
        return cells.reshape(ROWS, COLUMNS)


def views(lit: Callable[[float], int], seconds: float) -> list[View]:
    times = (number / SOURCE_FPS for number in range(round(seconds * SOURCE_FPS)))
    return [View(1.7e9 + time_s, lit(time_s)) for time_s in times]


def kept(frames: list[View], rates: Rates = RATES) -> list[float]:
    return [frame.time_s - 1.7e9 for frame in Sampler(rates).sample(frames)]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=300))
def test_no_more_than_the_burst_and_no_less_than_the_floor(lit: list[int]):
    frames = [View(1.7e9 + n / SOURCE_FPS, each) for n, each in enumerate(lit)]
    times = [*kept(frames), len(lit) / SOURCE_FPS]
    assert times[0] == 0
    for a, b in pairwise(times[:-1]):
        assert b - a >= 1 / RATES.burst - 1e-6
    for a, b in pairwise(times):
        assert b - a <= 1 / RATES.floor + 1 / RATES.burst + 1e-6


def test_a_still_camera_is_looked_at_at_the_floor_rate():
    assert kept(views(lambda _: 0, 30)) == pytest.approx([0, 5, 10, 15, 20, 25])


def test_motion_is_looked_at_at_the_burst_rate_from_its_first_frame():
    some = round(SIZE * RATES.motion) + 1
    frames = views(lambda at: some * round(at * 10) if 6 <= at < 8 else 0, 9)
    moving = [time_s for time_s in kept(frames) if 6 <= time_s < 8]
    assert moving == pytest.approx(np.arange(6, 8, 0.2))


def test_a_little_difference_is_looked_at_at_the_base_rate():
    times = kept(views(lambda at: round(at * 5) % 2, 8))
    assert np.diff(times).min() >= 1 / RATES.base - 0.5 / RATES.burst
    assert np.diff(times).max() <= 1 / RATES.base + 1 / RATES.burst + 1e-6


def test_what_changes_slowly_adds_up():
    step_s = 0.4  # one cell: far below what is motion
    times = kept(views(lambda at: int(at / step_s), 20))
    assert len(times) >= 18  # once a second, not once in five


@given(st.floats(0.3, 10), st.integers(1, 50))
def test_one_rate_is_a_plain_grid(fps: float, lit: int):
    frames = views(lambda at: lit * round(at), 5)
    rates = Rates(fps, fps, fps, 0.01)
    assert [f.time_s for f in Sampler(rates).sample(frames)] == [
        f.time_s for f in sample_frames(frames, fps)
    ]


def test_it_is_calm_once_nothing_has_moved_for_a_while():
    sampler = Sampler(RATES)
    assert not sampler.is_calm
    frames = views(lambda at: 100 * round(at * 10) if at < 2 else 0, 30)
    calm = {frame.time_s - 1.7e9: sampler.is_calm for frame in sampler.sample(frames)}
    assert not any(is_calm for at, is_calm in calm.items() if at < CALM_S)
    assert all(is_calm for at, is_calm in calm.items() if at > CALM_S + 3)
