"""Cameras that break: an RTSP server killed, frozen and started again, or silent."""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from ingest.camera import read_frames
from ingest.clock import utc_now
from ingest.films import Recording, film_at, films_of
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from ingest.status import CameraState, GapReason
from ingest.video import Video

DOWN = (CameraState.OFFLINE, CameraState.STALLED)


def live(address: str, **changes: object) -> CameraSettings:
    usual = {"fps": 4.0, "chunk_frames": 4, "open_timeout_s": 3, "stall_timeout_s": 1.5}
    return CameraSettings(name="door", address=address, **usual | changes)


async def test_rtsp_is_watched_lost_and_found_again(
    video: Path, serve_rtsp: Callable, until: Callable, second_of: Callable
):
    server = serve_rtsp(video.parent)
    source = CameraSource(live(server.url(video.name)))
    async with source:
        first = [await anext(source), await anext(source)]
        assert abs(first[-1].end_s - utc_now()) < 3
        assert [second_of(pixels) for pixels in first[1].pixels] == sorted(
            second_of(pixels) for pixels in first[1].pixels
        )
        server.kill()
        await until(lambda: source.status.state in DOWN)
        assert source.status.error
        server.start()
        await until(lambda: source.status.state is CameraState.ONLINE)
        before = source.status.num_chunks
        await until(lambda: source.status.num_chunks > before)
        chunks = first + [await anext(source) for _ in range(before - 2 + 1)]
    assert source.status.reconnects >= 1
    assert np.all(np.diff(np.concatenate([c.times_s for c in chunks])) > 0)
    gap = source.gaps[-1]
    assert gap.reason in (GapReason.OFFLINE, GapReason.STALLED)
    assert gap.start_s in [chunk.end_s for chunk in chunks]
    assert gap.end_s in [chunk.start_s for chunk in chunks]


async def test_a_frozen_camera_is_stalled(
    clips: Path, serve_rtsp: Callable, until: Callable, my_readers: Callable
):
    server = serve_rtsp(clips)
    source = CameraSource(live(server.url("car-detection.mp4")))
    async with source:
        chunk = await anext(source)
        assert chunk.pixels.shape == (4, 252, 448, 3)
        server.freeze()
        await until(lambda: source.status.state is CameraState.STALLED, timeout_s=5)
        assert source.status.error.startswith("CameraStalledError")
        assert source.gaps[-1].reason is GapReason.STALLED
    assert my_readers() == []


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
async def test_a_silent_server_is_told_in_time_and_tried_again(
    scheme: str, silent_port: int, until: Callable
):
    address = f"{scheme}://me:s3cret@127.0.0.1:{silent_port}/live"
    source = CameraSource(live(address, open_timeout_s=1))
    async with source:
        await until(lambda: source.status.state is CameraState.OFFLINE, timeout_s=6)
        assert source.status.error.startswith("CameraOpenError")
        assert "no answer within 1 s" in source.status.error
        assert "s3cret" not in source.status.error
        await until(lambda: source.status.reconnects >= 2)
    assert source.status.last_frame_s is None
    assert source.gaps[-1].reason is GapReason.OFFLINE


async def test_a_recorded_camera_leaves_films_of_its_time(
    video: Path, serve_rtsp: Callable, tmp_path: Path, second_of: Callable
):
    folder = tmp_path / "films"
    recording = Recording(str(folder), film_s=2.0)
    server = serve_rtsp(video.parent)
    source = CameraSource(live(server.url(video.name), recording=recording))
    async with source:
        chunks = [await anext(source) for _ in range(6)]
    told = {
        round(1000 * time_s): pixels
        for chunk in chunks
        for time_s, pixels in zip(chunk.times_s, chunk.pixels, strict=True)
    }
    await asyncio.to_thread(assert_films_show, folder, told, second_of)


def assert_films_show(
    folder: Path, told: dict[int, np.ndarray], second_of: Callable
) -> None:
    films = films_of(folder)
    assert films
    for film in films:
        assert film.end_ms - film.start_ms < 4000
    inside = [t for t in told if films[0].start_ms < t < films[-1].end_ms]
    assert len(inside) > 4
    for time_ms in inside:
        film = film_at(folder, time_ms)
        if film is None:
            continue  # between a film's last frame and the next one's first
        shown = frame_at(film.path, (time_ms - film.start_ms) / 1000)
        assert abs(second_of(shown) - second_of(told[time_ms])) <= 1


def frame_at(film: Path, at_s: float) -> np.ndarray:
    """Give the frame of a film that is shown at a time."""
    with av.open(str(film)) as container:
        frames = [(f.time, f) for f in container.decode(video=0)]
    before = [frame for time_s, frame in frames if time_s <= at_s + 0.05]
    return (before or [frames[0][1]])[-1].to_ndarray(format="rgb24")


@pytest.fixture
def shift_clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Have the clocks of servers that are started later be off: `shift_clocks(-10.0)`.

    It takes processes that Python runs; this one's clock stays as it is.
    """

    def shift(off_s: float) -> None:
        line = f"import time\nnow = time.time\ntime.time = lambda: now() + {off_s}\n"
        (tmp_path / "sitecustomize.py").write_text(line)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return shift


@pytest.mark.parametrize("off_s", [-10.0, 0.0, 10.0])
def test_a_camera_that_sends_sender_reports_is_stamped_by_its_clock(
    video: Path, serve_rtsp: Callable, shift_clocks: Callable, off_s: float
):
    shift_clocks(off_s)
    camera = live(serve_rtsp(video.parent).url(video.name))
    frames = islice(read_frames(camera), 4)
    differences_s = [frame.time_s - time.time() for frame in frames]
    np.testing.assert_allclose(differences_s, off_s, atol=1)


def test_a_camera_whose_clock_is_an_hour_off_is_stamped_by_arrival_and_told_once(
    video: Path,
    serve_rtsp: Callable,
    shift_clocks: Callable,
    caplog: pytest.LogCaptureFixture,
):
    shift_clocks(-3600.0)
    camera = live(serve_rtsp(video.parent).url(video.name))
    frames = islice(read_frames(camera), 4)
    differences_s = [frame.time_s - time.time() for frame in frames]
    np.testing.assert_allclose(differences_s, 0, atol=1)
    (message,) = caplog.messages
    assert message.startswith("door is stamped by arrival: its clock is -36")


def test_the_first_frame_of_rtsp_has_no_pts_and_is_left_out(
    make_video: Callable, tmp_path: Path, serve_rtsp: Callable
):
    make_video(tmp_path / "keyframes.mp4", keyframe_every=1)
    camera = live(serve_rtsp(tmp_path).url("keyframes.mp4"), fps=10.0)
    with Video(camera, camera.address, lambda: False) as opened:
        assert next(opened.frames()).time is None
    stamps = [frame.time_s for frame in islice(read_frames(camera), 10)]
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=0.01)
