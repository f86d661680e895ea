from collections.abc import Callable

import numpy as np
import pytest

from ingest.clock import utc_now
from ingest.frame import Frame
from ingest.settings import CameraSettings, Resume
from ingest.simulation.stream import simulated_frames


def camera(query: str, **changes: object) -> CameraSettings:
    return CameraSettings(name="s", address=f"simulated:?size=64&{query}", **changes)


def play(
    settings: CameraSettings,
    resume: Resume | None = None,
    alive: Callable[[float], None] = lambda _time_s: None,
) -> list[Frame]:
    return list(simulated_frames(settings, resume, alive))


def test_a_backlog_is_played_at_its_speed():
    began_s = utc_now()
    frames = play(camera("backlog_s=20&duration_s=20&fps=2&speed=40", fps=2))
    assert 0.4 < utc_now() - began_s < 5
    assert len(frames) == 40
    assert frames[0].time_s == pytest.approx(began_s - 20, abs=0.5)
    assert np.diff([f.time_s for f in frames]) == pytest.approx(0.5, abs=1e-6)


def test_the_present_is_never_overtaken():
    settings = camera(
        "backlog_s=0.3&duration_s=0.6&fps=20&speed=90", fps=20, realtime=False
    )
    for frame in simulated_frames(settings, None, lambda _time_s: None):
        assert frame.time_s <= utc_now()


def test_fewer_frames_are_sampled_than_pass():
    passed: list[float] = []
    settings = camera("backlog_s=30&duration_s=30&fps=4", fps=0.5, realtime=False)
    assert len(play(settings, None, passed.append)) == 15
    assert len(passed) == 120


def test_it_goes_on_where_it_was_left():
    settings = camera("duration_s=30&fps=4", fps=4, realtime=False)
    began_s = utc_now() - 60
    frames = play(settings, Resume(began_s, began_s + 10))
    assert len(frames) == 80
    assert frames[0].time_s == began_s + 10


def test_the_picture_is_no_larger_than_asked_for():
    settings = camera("backlog_s=1&duration_s=1", max_side=32, realtime=False)
    assert play(settings)[0].pixels.shape == (32, 32, 3)
