import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from ingest.camera import read_frames
from ingest.clock import utc_now
from ingest.errors import CameraLostError, CameraOpenError, NoVideoError
from ingest.settings import CameraSettings, Resume


def fast(path: Path, **changes: object) -> CameraSettings:
    return CameraSettings(name="door", address=str(path), realtime=False, **changes)


def test_a_file_played_fast_is_told_as_a_recording_that_ends_now(
    video: Path, second_of: Callable
):
    began_s = utc_now() - 12
    frames = list(read_frames(fast(video)))
    assert [second_of(frame.pixels) for frame in frames] == list(range(12))
    after_s = np.array([frame.time_s - frames[0].time_s for frame in frames])
    np.testing.assert_allclose(after_s, np.arange(12), atol=0.101)
    assert 0 <= frames[0].time_s - began_s < 5


def test_every_frame_arrives_though_few_are_sampled(video: Path):
    arrived: list[float] = []
    frames = list(read_frames(fast(video, fps=0.5), alive=arrived.append))
    assert (len(arrived), len(frames)) == (120, 6)


def test_a_file_is_taken_up_where_it_was_left(video: Path, second_of: Callable):
    resume = Resume(began_s=1000.0, from_s=1005.0)
    frames = list(read_frames(fast(video), resume))
    assert [second_of(frame.pixels) for frame in frames] == list(range(5, 12))
    assert frames[0].time_s == 1005.0


def test_a_file_in_real_time_is_not_ahead(video: Path):
    settings = CameraSettings(name="door", address=str(video), fps=10)
    frames = read_frames(settings)
    for _, frame in zip(range(8), frames, strict=False):
        assert frame.time_s <= utc_now()
    frames.close()


@pytest.mark.parametrize(
    ("max_side", "shape"), [(80, (60, 80, 3)), (999, (120, 160, 3))]
)
def test_frames_are_scaled_down_and_never_up(
    video: Path, max_side: int, shape: tuple[int, int, int]
):
    frame = next(read_frames(fast(video, max_side=max_side)))
    assert frame.pixels.shape == shape


def test_garbage_is_a_named_error(tmp_path: Path):
    path = tmp_path / "garbage.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    with pytest.raises(CameraOpenError):
        list(read_frames(fast(path)))


def test_a_broken_file_gives_what_it_has(video: Path, tmp_path: Path):

    whole = tmp_path / "whole.ts"
    with av.open(str(video)) as source, av.open(str(whole), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    data = whole.read_bytes()
    broken = tmp_path / "broken.ts"
    noise = np.random.default_rng(0).bytes(3000)
    half = len(data) // 2
    broken.write_bytes(data[:half] + noise + data[half : -len(data) // 4])
    frames = list(read_frames(fast(broken)))
    assert 6 <= len(frames) <= 11


def test_a_missing_file_is_a_named_error(tmp_path: Path):
    with pytest.raises(CameraOpenError, match="No such file"):
        list(read_frames(fast(tmp_path / "none.mp4")))


def test_sound_without_picture_is_a_named_error(tmp_path: Path):
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(NoVideoError):
        list(read_frames(fast(path)))


def test_a_refused_connection_is_a_named_error_without_credentials():
    settings = CameraSettings(name="door", address="rtsp://me:s3cret@127.0.0.1:9/live")
    with pytest.raises(CameraOpenError, match="refused") as caught:
        list(read_frames(settings))
    assert "s3cret" not in str(caught.value)


def test_a_live_stream_that_ends_is_lost(video: Path, serve_http: Callable):
    settings = CameraSettings(name="door", address=serve_http(video.parent, video.name))
    with pytest.raises(CameraLostError, match="ended"):
        list(read_frames(settings))
