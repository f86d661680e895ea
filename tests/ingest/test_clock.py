import math
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clock import TRUST_S, WINDOW_S, FrameClock, utc_now, wait_until

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


def test_a_camera_that_stops_telling_its_time_while_ahead_is_still_sampled():
    clock = FrameClock()
    ahead = [clock.stamp(n / 10, NOW_S + n / 10, NOW_S + 20) for n in range(100)]
    without = [clock.stamp(n / 10, NOW_S + n / 10) for n in range(100, 600)]
    assert np.diff(ahead + without).min() >= 0.05 - 1e-6
    assert without[-1] == pytest.approx(NOW_S + 59.9)


def test_a_clock_about_as_far_off_as_is_believed_is_not_believed_off_and_on():
    clock = FrameClock()
    random = np.random.default_rng(0)
    stamps = []
    for number in range(5000):
        arrival_s = NOW_S + number / 10 + random.uniform(0, 0.2)
        behind_s = TRUST_S - 0.5 + number * 2e-4  # it crosses the limit, slowly
        stamps.append(clock.stamp(number / 10, arrival_s, NOW_S - behind_s))
    steps = np.diff(stamps)
    assert np.sum(steps > 1) == 1
    assert clock.disbelieved_s == pytest.approx(-TRUST_S - 0.5, abs=0.02)


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("jump_s", [-20.0, 10.0, -(2**32) / 90_000, -(2**33) / 90_000])
def test_pts_that_jump_do_not_show_until_the_camera_tells_its_time_anew(
    jump_s: float, is_told: bool
):
    clock = FrameClock()
    behind_s = 2.0 if is_told else 0.0
    for number in range(1000):
        at_s = number / 10
        pts_s = 1e5 + at_s + (jump_s if at_s >= 20 else 0.0)
        told_for_s = jump_s if at_s >= 25 else 0.0  # by the next sender report
        origin_s = NOW_S - 1e5 - told_for_s - behind_s if is_told else None
        stamp_s = clock.stamp(pts_s, NOW_S + at_s, origin_s)
        assert stamp_s == pytest.approx(NOW_S + at_s - behind_s, abs=1e-5)


def test_keyframes_far_apart_are_no_jump():
    clock = FrameClock()
    random = np.random.default_rng(0)
    errors = []
    for second in range(0, 4000, 8):
        late_s = random.choice([0.0, 2.0])
        errors.append(clock.stamp(second, NOW_S + second + late_s) - NOW_S - second)
    assert max(errors[20:]) < 0.01


def test_a_frame_without_pts_among_others_is_told_like_them():
    clock = FrameClock()
    for number in range(100):
        pts_s = None if number % 10 == 5 else number / 10
        stamp_s = clock.stamp(pts_s, NOW_S + number / 10, NOW_S - 10)
        assert stamp_s == pytest.approx(NOW_S + number / 10 - 10)


def test_frames_without_pts_that_arrive_at_once_have_times_of_their_own():
    clock = FrameClock()
    stamps = [clock.stamp(None, NOW_S) for _ in range(100)]
    assert np.all(np.diff(stamps) > 0)
    assert stamps[-1] == pytest.approx(NOW_S, abs=1e-3)


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
        assert stamps[-1] <= arrival_s + 1e-3
    assert all(0 < b - a <= 3 for a, b in pairwise(stamps))


@given(
    delays=st.lists(st.floats(0, 4), min_size=2, max_size=300),
    ppm=st.floats(-200, 200),
    jump_s=st.floats(-1e5, -6) | st.floats(6, 1e5) | st.just(0.0),
    jumps_at=st.integers(1, 300),
    behind_s=st.none() | st.floats(-10, 10),
)
def test_stamps_are_as_wrong_as_the_network_is_slow_and_not_more(
    delays: list[float],
    ppm: float,
    jump_s: float,
    jumps_at: int,
    behind_s: float | None,
):
    clock = FrameClock()
    late_s = max(delays) + 0.1
    early_s = 0.1 if behind_s is None else late_s
    arrival_s = last_s = -math.inf
    for number, delay_s in enumerate(delays):
        true_s = number / 5
        arrival_s = max(arrival_s, NOW_S + true_s + delay_s)
        pts_s = true_s * (1 + ppm / 1e6) + (jump_s if number >= jumps_at else 0.0)
        origin_s = None
        if behind_s is not None:  # a sender report every 5 s
            origin_s = NOW_S - behind_s - (jump_s if number >= jumps_at + 25 else 0.0)
        stamp_s = clock.stamp(pts_s, arrival_s, origin_s)
        assert stamp_s > last_s
        error_s = stamp_s - (NOW_S + true_s - (behind_s or 0.0))
        assert -early_s <= error_s <= late_s
        last_s = stamp_s


def test_a_step_of_the_machines_clock_does_not_show(monkeypatch: pytest.MonkeyPatch):
    before_s = utc_now()
    monkeypatch.setattr(time, "time", lambda: before_s - 3600)
    assert 0 <= utc_now() - before_s < 60


def test_waiting_is_told_to_be_on_purpose():
    told: list[float] = []
    until_s = utc_now() + 0.05
    wait_until(until_s, told.append)
    assert utc_now() >= until_s
    assert told
