from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clock import FrameClock, utc_now, wait_until

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


def test_a_drift_of_days_does_not_add_up():
    clock = FrameClock()
    for hour in range(500):  # a camera that loses 1 s an hour
        arrival_s = NOW_S + hour * 3600
        pts_s = hour * 3599
        assert abs(clock.stamp(pts_s, arrival_s) - arrival_s) <= 5


@given(st.lists(st.floats(0, 2), min_size=2, max_size=50))
def test_no_frame_is_later_than_its_arrival(delays: list[float]):
    clock = FrameClock()
    stamps = []
    for number, delay_s in enumerate(delays):
        arrival_s = NOW_S + number + delay_s
        stamps.append(clock.stamp(float(number), arrival_s))
        assert stamps[-1] <= arrival_s + 1e-6
    assert all(abs(b - a - 1) <= 2 for a, b in pairwise(stamps))


def test_waiting_is_told_to_be_on_purpose():
    told: list[float] = []
    until_s = utc_now() + 0.05
    wait_until(until_s, told.append)
    assert utc_now() >= until_s
    assert told
