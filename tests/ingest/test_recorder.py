import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from ingest.films import Film, Recording, film_at, films_of
from ingest.recorder import Recorder

BEGAN_S = 1.8e9


def record(video: Path, recording: Recording, until_s: float = 1e9) -> Recorder:
    """Record a video as if it were shown from `BEGAN_S` on; leave the film open."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        recorder = Recorder(stream, recording)
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            shown_s = float(packet.pts * packet.time_base)
            if shown_s < until_s:
                recorder.write(packet, BEGAN_S + shown_s)
    return recorder


def shown(film: Path, second_of: Callable) -> list[int]:
    """Give which seconds of the video a film shows."""
    with av.open(str(film)) as container:
        frames = container.decode(video=0)
        return [second_of(frame.to_ndarray(format="rgb24")) for frame in frames]


def test_films_play_and_follow_each_other(
    video: Path, tmp_path: Path, second_of: Callable
):
    record(video, Recording(str(tmp_path), film_s=4.0)).end()
    films = films_of(tmp_path)
    assert [film.start_ms - BEGAN_S * 1000 for film in films] == [0, 4000, 8000]
    for number, film in enumerate(films):
        assert film.end_ms - film.start_ms == pytest.approx(3900, abs=1)
        seconds = shown(film.path, second_of)
        assert sorted(seconds) == [
            second for second in range(4 * number, 4 * number + 4) for _ in range(10)
        ]
        with av.open(str(film.path)) as container:
            assert container.duration / av.time_base == pytest.approx(4, abs=0.2)
    assert not list(tmp_path.glob("*.part"))
    assert film_at(tmp_path, films[1].start_ms + 500) == films[1]
    assert film_at(tmp_path, films[-1].end_ms) is None


def test_what_a_dead_process_left_plays_up_to_where_it_got(
    video: Path, tmp_path: Path, second_of: Callable
):
    recorder = record(video, Recording(str(tmp_path), film_s=60), until_s=7.5)
    [part] = tmp_path.glob("*.part")
    copy = tmp_path / "dead" / part.name
    copy.parent.mkdir()
    copy.write_bytes(part.read_bytes())  # as a kill at this moment leaves it
    os.utime(copy, (BEGAN_S + 7.5, BEGAN_S + 7.5))
    recorder.end()
    record(video, Recording(str(copy.parent)), until_s=0.0)
    [film] = films_of(copy.parent)
    assert (film.start_ms, film.end_ms) == (BEGAN_S * 1000, BEGAN_S * 1000 + 7500)
    assert set(shown(film.path, second_of)) >= set(range(6))


def test_the_oldest_go_when_the_bytes_are_spent(video: Path, tmp_path: Path):
    record(video, Recording(str(tmp_path / "all"), film_s=1.0)).end()
    sizes = [film.path.stat().st_size for film in films_of(tmp_path / "all")]
    budget = sum(sizes[-3:])
    record(video, Recording(str(tmp_path / "few"), film_s=1.0, max_bytes=budget)).end()
    kept = films_of(tmp_path / "few")
    assert 1 <= len(kept) <= 3
    assert sum(film.path.stat().st_size for film in kept) <= budget
    assert kept[-1].start_ms == BEGAN_S * 1000 + 11_000


def test_the_oldest_go_when_they_are_too_old(video: Path, tmp_path: Path):
    age_s = time.time() - BEGAN_S
    old_s = age_s - 5.5  # what was shown before the sixth second is too old
    record(video, Recording(str(tmp_path), film_s=1.0, max_age_s=old_s)).end()
    starts = [film.start_ms - BEGAN_S * 1000 for film in films_of(tmp_path)]
    assert starts == [5000, 6000, 7000, 8000, 9000, 10_000, 11_000]


def test_a_stream_that_begins_anew_begins_a_film(video: Path, tmp_path: Path):
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        recorder = Recorder(stream, Recording(str(tmp_path)))
        for round_number in range(2):
            container.seek(0)
            for packet in itertools.takewhile(
                lambda packet: packet.pts is not None, container.demux(stream)
            ):
                shown_s = 12 * round_number + float(packet.pts * packet.time_base)
                recorder.write(packet, BEGAN_S + shown_s)
        recorder.end()
    assert [film.start_ms - BEGAN_S * 1000 for film in films_of(tmp_path)] == [0, 12000]


def test_other_files_are_no_films(tmp_path: Path):
    (tmp_path / "holiday.mp4").touch()
    (tmp_path / "1800000000000-1800000001000.mp4").touch()
    path = tmp_path / "1800000000000-1800000001000.mp4"
    assert films_of(tmp_path) == [Film(1_800_000_000_000, 1_800_000_001_000, path)]
    assert films_of(tmp_path / "none") == []
