"""Sampling is measured of real frames, and told as it was measured."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import sampling
from benchmarks.ingest_clip import FPS, film
from benchmarks.sampling import WAYS, camera_of, frames_in, looked_at, measure
from benchmarks.sampling_clips import EVENTS, NoClipsError, find_clips, read_clip
from benchmarks.sampling_table import sampling_table
from benchmarks.tables import RESULTS, ROOT, TABLES
from ingest.settings import CameraSettings

STEADY, OFTEN, BY_MOTION, CALM = WAYS
SMALL = (320, 180)
STILL_S = 24  # motion, ten seconds, the next keyframe, and some that are skipped
BEGINNING = ((0.0, 2.0),)


def of_file(path: Path, way: sampling.Way) -> CameraSettings:
    return camera_of(path, way, realtime=False)


def test_events_are_those_that_sampling_is_tested_by():
    path = ROOT / "tests" / "ingest" / "test_sampling_of_clips.py"
    spec = importlib.util.spec_from_file_location("sampling_of_clips", path)
    assert spec
    assert spec.loader
    tested = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tested)
    assert tested.EVENTS == EVENTS


def test_by_motion_is_as_in_the_example():
    text = (ROOT / "configs" / "cameras.example.yaml").read_text()
    door = yaml.safe_load(text)["cameras"]["front-door"]
    for name in ("floor_fps", "fps", "burst_fps", "decoding"):
        assert door[name] == getattr(CALM, name)
    assert BY_MOTION.burst_fps == CALM.burst_fps == OFTEN.fps
    assert STEADY.fps == BY_MOTION.fps


def test_frames_at_the_ends_of_an_event_lie_in_it():
    times_s = np.array([0, 1, 2, 3.5, 4])
    assert frames_in(times_s, [(1, 3.5), (4.1, 9), (0, 0.5)]) == [3, 0, 1]


def test_clips_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names = list(EVENTS)
    (tmp_path / names[0]).touch()
    with pytest.raises(NoClipsError) as caught:
        find_clips(tmp_path)
    assert caught.value.names == tuple(names[1:])
    monkeypatch.setattr(sampling, "CLIPS", tmp_path)
    result = tmp_path / "result.json"
    monkeypatch.setattr("sys.argv", ["sampling", "--json", str(result)])
    assert sampling.main() == 1
    assert names[1] in capsys.readouterr().err
    assert not result.exists()


@pytest.mark.timeout(60)
def test_a_still_camera_is_sampled_and_decoded_less(tmp_path: Path):
    path = tmp_path / "still.mp4"
    film(path, STILL_S, 0, is_still=True, size=SMALL)
    clip = read_clip(path, BEGINNING)
    assert (clip.frames, clip.size) == (STILL_S * FPS, SMALL)
    assert clip.seconds == pytest.approx(STILL_S, abs=0.1)
    steady, motion, calm = (
        looked_at(of_file(path, way), clip) for way in (STEADY, BY_MOTION, CALM)
    )
    assert steady["sampled"] == STILL_S
    assert steady["skipped"] == pytest.approx(1 - 1 / FPS)
    assert steady["decoded"] == motion["decoded"] == clip.frames
    assert calm["decoded"] < clip.frames - 2 * FPS
    assert motion["sampled"] < steady["sampled"]
    assert motion["in_events"] == [9]  # four a second, both ends
    assert steady["chunks"] == STILL_S / 8


@pytest.mark.timeout(60)
def test_cpu_is_of_the_reader_at_its_own_pace(tmp_path: Path):
    path = tmp_path / "moving.mp4"
    film(path, 8, 0, size=SMALL)
    clip = read_clip(path, BEGINNING)
    whole, part = (next(measure([clip], [OFTEN], seconds)) for seconds in (60, 2))
    assert 4 < whole["measured_s"] < 8.5  # from the second sampled frame on
    assert 2 <= part["measured_s"] < 4
    for row in (whole, part):
        assert 0 < row["cores"] < 1
        assert (row["clip"], row["way"]) == ("moving", OFTEN.name)
        assert row["sampled"] == 32


@pytest.mark.timeout(60)
def test_short_events_are_missed_by_a_steady_rate_and_not_by_motion(clips: Path):
    clip = next(each for each in find_clips(clips) if "bottle" in each.name)
    steady, motion, often = (
        looked_at(of_file(clip.path, way), clip) for way in (STEADY, BY_MOTION, OFTEN)
    )
    assert steady["events_with_two"] < steady["events"]
    assert motion["events_with_two"] == motion["events"] == len(clip.events)
    assert motion["least_in_event"] == min(motion["in_events"]) >= 2
    assert steady["sampled"] < motion["sampled"] < often["sampled"]


FOUND: dict[str, Any] = {
    "command": "python -m benchmarks.sampling --seconds 60",
    "machine": "one core",
    "versions": {"av": "18"},
    "commit": "abc",
    "clips": [{"name": "door", "size": [640, 360], "frames": 1200, "seconds": 48.0}],
    "ways": [
        {
            "name": "by motion",
            "floor_fps": 0.2,
            "fps": 1.0,
            "burst_fps": 4.0,
            "decoding": "all",
        }
    ],
    "rows": [
        {
            "clip": "door",
            "way": "by motion",
            "cores": 0.0234,
            "measured_s": 47.0,
            "frames": 1200,
            "decoded": 1100,
            "sampled": 96,
            "skipped": 0.92,
            "chunks": 12,
            "in_events": [4, 1],
            "least_in_event": 1,
            "events": 2,
            "events_with_two": 1,
        }
    ],
}


def test_the_table_tells_what_was_measured():
    table = sampling_table(FOUND)
    row = "| door | by motion | 0.023 | 1,200 | 1,100 | 96 | 92 % | 12 | 1 | 1 of 2 |"
    assert row in table.splitlines()
    assert "door (640 x 360, 48 s)" in table
    told = "- by motion: `floor_fps: 0.2, fps: 1, burst_fps: 4, decoding: all`"
    assert told in table.splitlines()


def test_the_page_shows_what_was_measured():
    found = json.loads((RESULTS / "sampling.json").read_text())
    assert len(found["rows"]) == len(EVENTS) * len(WAYS)
    assert sampling_table(found) in (ROOT / TABLES["sampling"][0]).read_text()
