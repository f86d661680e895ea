from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from ingest.decoder import Decoder

Frames = list[tuple[float, int]]  # when, and which second is shown


@pytest.fixture
def decode(second_of: Callable) -> Callable[..., Frames]:
    """Decode a file; whether keyframes are enough is asked at each packet's time."""

    def decode(path: Path, is_enough: Callable[[float], bool]) -> Frames:
        found: Frames = []
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            now = [0.0]
            decoder = Decoder(stream, lambda: is_enough(now[0]))
            for packet in container.demux(stream):
                if packet.dts is not None:
                    now[0] = float(packet.dts * packet.time_base)
                if decoder.skips(packet):
                    continue
                for frame in decoder.decode(packet):
                    shown = second_of(frame.to_ndarray(format="rgb24"))
                    found.append((frame.time, shown))
        return found

    return decode


def test_everything_is_decoded_unless_keyframes_are_enough(
    video: Path, decode: Callable
):
    assert len(decode(video, lambda _: False)) == 120


def test_keyframes_alone_come_at_once_and_whole(video: Path, decode: Callable):
    found = decode(video, lambda _: True)
    times = [time_s for time_s, _ in found]
    # how far apart keyframes are is known from the second on
    np.testing.assert_allclose(times[-10:], np.arange(2, 12), atol=1e-6)
    assert len(times) < 30
    assert all(shown == int(time_s + 1e-6) for time_s, shown in found)


def test_decoding_goes_back_to_all_without_a_broken_or_doubled_frame(
    video: Path, decode: Callable
):
    found = decode(video, lambda at: at < 5.0 or 8.0 <= at < 10.0)
    times = np.array([time_s for time_s, _ in found])
    assert np.all(np.diff(times) > 0)
    assert all(shown == int(time_s + 1e-6) for time_s, shown in found)
    for second in (6, 7, 11):
        assert np.sum((second <= times + 1e-6) & (times + 1e-6 < second + 1)) == 10
    assert np.sum((times + 1e-6 >= 3) & (times < 4.9)) == 2


def test_where_keyframes_are_rare_everything_is_decoded(
    tmp_path: Path, make_video: Callable, decode: Callable
):
    rare = make_video(tmp_path / "rare.mp4", seconds=12, fps=10, keyframe_every=110)
    assert len(decode(rare, lambda _: True)) == 120
