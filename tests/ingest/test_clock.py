from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clock import WINDOW_S, FrameClock, utc_now, wait_until

NOW_S = 1.7e9


def test_a_camera_that_tells_its_time_is_believed():
    clock = FrameClock()
    assert clock.stamp(5.0, NOW_S, origin_s=NOW_S - 5.4) == pytest.approx(NOW_S - 0.4)


def test_a_camera_whose_clock_was_never_set_is_not_believed():
    assert FrameClock().stamp(5.0, NOW_S, origin_s=0.0) == NOW_S


def test_a_frame_without_pts_has_the_time_of_its_arrival():
    assert FrameClock().stamp(None, NOW_S) == NOW_S


def test_frames_held_up_on_their_way_are_put_where_they_belong():
    clock = FrameClock()
    clock.stamp(0.0, NOW_S)
    assert clock.stamp(1.0, NOW_S + 4.0) == NOW_S + 1.0


def test_a_jump_begins_anew_from_arrival():
    clock = FrameClock()
    clock.stamp(100.0, NOW_S)
    assert clock.stamp(3.0, NOW_S + 0.1) == NOW_S + 0.1
    assert clock.stamp(3.1, NOW_S + 0.3) == pytest.approx(NOW_S + 0.2)
    assert clock.stamp(60.0, NOW_S + 0.4) == NOW_S + 0.4


@pytest.mark.parametrize("speed", [0.999, 0.9999, 1.0001, 1.001])
def test_a_camera_that_runs_fast_or_slow_is_followed(speed: float):
    clock = FrameClock()
    random = np.random.default_rng(0)
    for second in range(20_000):
        arrival_s = NOW_S + second + random.uniform(0, 0.2)
        stamp_s = clock.stamp(second * speed, arrival_s)
        lag_s = abs(1 - speed) * 2 * WINDOW_S  # what it drifts in two windows
        assert -lag_s - 0.01 <= stamp_s - (NOW_S + second) <= 0.2 + lag_s


def test_a_stream_that_falls_behind_for_good_is_told_by_arrival_again():
    clock = FrameClock()
    for second in range(600):
        late_s = 3.0 if second > 100 else 0.0
        stamp_s = clock.stamp(float(second), NOW_S + second + late_s)
        if second > 100 + 2 * WINDOW_S:
            assert stamp_s == pytest.approx(NOW_S + second + late_s)


@pytest.mark.parametrize("length_s", [2**32 / 90_000, 2**33 / 90_000])
def test_pts_that_wraps_does_not_show(length_s: float):
    clock = FrameClock()
    random = np.random.default_rng(0)
    stamps = []
    for number in range(200):
        pts_s = (length_s - 10 + number / 10) % length_s
        arrival_s = NOW_S + number / 10 + random.uniform(0, 0.05)
        stamps.append(clock.stamp(pts_s, arrival_s))
    assert np.all(np.diff(stamps) > 0)
    assert np.abs(np.diff(stamps) - 0.1).max() <= 0.06


@pytest.mark.parametrize("step_s", [-20.0, -1.0, 0.5, 20.0])
def test_a_camera_whose_clock_is_set_is_followed_without_running_backwards(
    step_s: float,
):
    clock = FrameClock()
    stamps = []
    for number in range(1000):
        at_s = number / 10
        set_s = step_s if at_s >= 10 else 0.0
        pts_s = float(number) / 10
        stamps.append(clock.stamp(pts_s, NOW_S + at_s, NOW_S + set_s))
    assert np.all(np.diff(stamps) > 0)  # so that every frame can be sampled
    told = NOW_S + np.arange(1000) / 10 + np.where(np.arange(1000) >= 100, step_s, 0)
    caught_up = 100 + round(max(-step_s, 0) * 2 * 10) + 1
    np.testing.assert_allclose(stamps[caught_up:], told[caught_up:], atol=1e-6)


def test_a_camera_that_stops_telling_its_time_goes_on_by_its_pts():
    clock = FrameClock()
    with_it = [clock.stamp(n / 10, NOW_S + n / 10 + 0.3, NOW_S) for n in range(100)]
    without = [clock.stamp(n / 10, NOW_S + n / 10 + 0.3) for n in range(100, 200)]
    stamps = np.array(with_it + without)
    assert np.all(np.diff(stamps) > 0)
    np.testing.assert_allclose(stamps[100:] - NOW_S, np.arange(100, 200) / 10 + 0.3)


@given(st.lists(st.floats(0, 2), min_size=2, max_size=50))
def test_no_frame_is_later_than_its_arrival_and_none_runs_backwards(
    delays: list[float],
):
    clock = FrameClock()
    stamps = []
    arrival_s = NOW_S
    for number, delay_s in enumerate(delays):
        arrival_s = max(arrival_s, NOW_S + number + delay_s)  # they come in their order
        stamps.append(clock.stamp(float(number), arrival_s))
        assert stamps[-1] <= arrival_s + 1e-6
    assert all(0 <= b - a <= 3 for a, b in pairwise(stamps))


def test_waiting_is_told_to_be_on_purpose():
    told: list[float] = []
    until_s = utc_now() + 0.05
    wait_until(until_s, told.append)
    assert utc_now() >= until_s
    assert told
