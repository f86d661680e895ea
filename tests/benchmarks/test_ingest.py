"""The cost of a camera is measured of real clips, and told as it was measured."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmarks.bare_decode import decode_apart
from benchmarks.errors import ServerError
from benchmarks.ingest_clip import FPS, film
from benchmarks.ingest_costs import Way, cpu_row, throughput
from benchmarks.ingest_delays import hand_off, start
from benchmarks.ingest_table import ingest_table
from benchmarks.tables import ROOT, TABLES, fill
from ingest.motion import cells_of, change
from ingest.settings import Decoding

SMALL = (320, 180)


def luma_of(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


@pytest.mark.parametrize("is_still", [True, False])
def test_a_clip_moves_or_is_still_and_is_a_stream_as_cameras_send(
    tmp_path: Path, is_still: bool
):
    rate = film(tmp_path / "clip.mp4", 6, 0, is_still=is_still, size=SMALL)
    with av.open(tmp_path / "clip.mp4") as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert len(packets) == 6 * FPS
    assert [n for n, p in enumerate(packets) if p.is_keyframe] == [0, 50, 100]
    assert all(p.pts == p.dts for p in packets)
    assert rate == pytest.approx(sum(p.size for p in packets) * 8 / 6, rel=0.1)
    pictures = luma_of(tmp_path / "clip.mp4")
    seconds = [cells_of(picture) for picture in pictures[4 * FPS :: FPS // 2]]
    changes = [change(seconds[0], later) for later in seconds[1:]]
    assert max(changes) == 0 if is_still else min(changes) > 0.002


def test_pyav_alone_counts_the_frames_behind_those_it_skips(tmp_path: Path):
    film(tmp_path / "clip.mp4", 2, 0, size=SMALL)
    whole = decode_apart(str(tmp_path / "clip.mp4"), 0)
    part = decode_apart(str(tmp_path / "clip.mp4"), 40)
    assert (whole.frames, part.frames) == (50, 10)
    assert 0 < part.seconds < whole.seconds
    with pytest.raises(ServerError, match="no decoding"):
        decode_apart(str(tmp_path / "none.mp4"), 0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    film(path, 10, 0, size=(640, 360))
    return path


@pytest.mark.timeout(60)
def test_keyframes_alone_cost_less(clip: Path):
    both = (Way("moving", Decoding.ALL), Way("moving", Decoding.KEYFRAMES))
    everything, keyframes = (cpu_row(clip, way, 3, 2) for way in both)
    assert everything["decoding"] == "all"
    assert 0 < 2 * keyframes["cores"] < everything["cores"] < 1
    assert everything["cameras_per_core"] == pytest.approx(
        1 / everything["cores"], rel=0.02
    )


@pytest.mark.timeout(60)
def test_throughput_is_of_the_same_frames(clip: Path):
    found = throughput(clip, 10, 1)
    assert found["frames"] == 10 * FPS - 8 * FPS  # behind the first chunk
    assert found["ratio"] == pytest.approx(
        found["frames_per_s"] / found["bare_frames_per_s"], abs=0.01
    )
    assert found["frames_per_s_with_start"] > 0
    assert 0.1 < found["cpu_ratio"] < 10


@pytest.mark.timeout(60)
def test_delays_are_of_each_kind_of_source(clip: Path):
    handed, started = hand_off(clip, 8), start(clip, 0, 1)
    assert [row["chunks"] for row in handed] == [8, 8]
    for row in (*handed, *started):
        assert 0 < row["median_ms"] <= row["worst_ms"]
    live = next(row for row in started if "live" in row["source"])
    assert live["median_ms"] > 190  # to the frame that completes the chunk


FOUND: dict[str, Any] = {
    "command": "python -m benchmarks.ingest --seconds 30 --turns 9",
    "machine": "one core",
    "versions": {"av": "18"},
    "commit": "abc",
    "seed": 0,
    "clips": {
        "codec": "H.264",
        "size": [1920, 1080],
        "fps": 25,
        "keyframe_every": 50,
        "seconds": 30,
        "mbit_per_s": {"moving": 4.05, "still": 3.8},
    },
    "cpu": [
        {"clip": "moving", "decoding": "all", "cores": 0.1, "cameras_per_core": 10.0}
    ],
    "hardware": "none",
    "throughput": {
        "turns": 9,
        "frames_per_s": 290.5,
        "bare_frames_per_s": 300.0,
        "ratio": 0.968,
        "ratio_min": 0.9,
        "ratio_max": 1.1,
        "cpu_ratio": 0.97,
        "cpu_ratio_min": 0.95,
        "cpu_ratio_max": 0.99,
    },
    "hand_off": [{"source": "file", "median_ms": 9.3, "worst_ms": 20.0}],
    "start": [{"source": "live", "median_ms": 460.0, "worst_ms": 500.0}],
}


def test_the_table_tells_what_was_measured():
    table = ingest_table(FOUND)
    assert "| moving | `all` | 0.100 | 10 |" in table
    assert "no hardware" in table
    assert "290.5 frames a second, PyAV alone 300: 0.97 times" in table
    assert "| live | 460 ms | 500 ms |" in table
    device = {"device": "cuda", "cores": 0.01, "cameras_per_core": 100.0}
    told = ingest_table(FOUND | {"hardware": device})
    assert "by `cuda`, PyAV alone | 0.010 | 100 |" in told
    assert "no hardware" not in told


def test_the_table_has_its_place():
    page = ROOT / TABLES["ingest"][0]
    assert "| moving |" in fill(page.read_text(), "ingest", ingest_table(FOUND))
