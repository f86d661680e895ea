"""From a file or a simulated camera, through a child process, to chunks."""

import asyncio
import gc
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.clock import utc_now
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from ingest.simulation.renderer import render
from ingest.simulation.world import World
from ingest.source import CameraSource
from ingest.status import CameraState, GapReason

FORTY_S = "simulated:?seed=3&size=64&fps=8&backlog_s=40&duration_s=40&speed=1000"


def settings(address: object, **changes: object) -> CameraSettings:
    return CameraSettings(**{"name": "door", "address": str(address)} | changes)


async def collect(source: CameraSource) -> list[FrameChunk]:
    async with source:
        return [chunk async for chunk in source]


def times_of(chunks: list[FrameChunk]) -> np.ndarray:
    return np.concatenate([chunk.times_s for chunk in chunks])


async def test_each_second_of_a_file_is_in_the_chunk_of_its_time(
    video: Path, second_of: Callable
):
    source = CameraSource(settings(video, fps=2, chunk_frames=6, realtime=False))
    chunks = await collect(source)
    assert [len(chunk.times_s) for chunk in chunks] == [6, 6, 6, 6]
    began_s = chunks[0].start_s
    for second in range(12):
        at_s = began_s + second + 0.5
        [chunk] = [c for c in chunks if c.start_s <= at_s < c.end_s]
        shown = chunk.pixels[np.abs(chunk.times_s - at_s).argmin()]
        assert second_of(shown) == second
    assert source.status.state is CameraState.ENDED
    assert (source.status.error, source.status.dropped_chunks) == (None, 0)
    assert source.gaps == ()


@pytest.fixture
def recordings(tmp_path: Path, make_video: Callable) -> Path:
    """Three hours of a recorder, of four seconds each, and what else lies around."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for hour in (8, 9, 10):
        make_video(folder / f"door-{hour:02d}.mp4", seconds=4)
    (folder / "door-09-b.mp4").write_bytes(b"torn" * 999)
    (folder / "index.txt").write_text("three hours")
    return folder


async def test_a_folder_is_one_recording(recordings: Path, second_of: Callable):
    source = CameraSource(settings(recordings, fps=2, chunk_frames=6, realtime=False))
    chunks = await collect(source)
    times = times_of(chunks)
    assert len(times) == 24
    np.testing.assert_allclose(np.diff(times), 0.5, atol=0.11)
    pictures = np.concatenate([chunk.pixels for chunk in chunks])
    assert [second_of(pixels) for pixels in pictures] == [0, 0, 1, 1, 2, 2, 3, 3] * 3
    assert source.status.state is CameraState.ENDED
    assert chunks[-1].end_s == pytest.approx(utc_now(), abs=10)


async def test_a_folder_is_taken_up_where_its_reader_died(
    recordings: Path, my_readers: Callable
):
    source = CameraSource(
        settings(recordings, fps=5, chunk_frames=5, realtime=False, buffer_chunks=1)
    )
    chunks = []
    async with source:
        async for chunk in source:
            chunks.append(chunk)
            if len(chunks) == 6:
                [pid] = my_readers()
                os.kill(pid, signal.SIGKILL)
    assert source.status.reconnects == 1
    assert len(times_of(chunks)) == 60
    assert np.all(np.diff(times_of(chunks)) > 0)


async def test_a_folder_without_a_video_is_told(tmp_path: Path, until: Callable):
    async with CameraSource(settings(tmp_path, realtime=False)) as source:
        await until(lambda: source.status.error)
        assert "no video in this folder" in source.status.error


async def test_it_works_from_any_folder(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "__init__.py").write_text("raise RuntimeError('not ours')")
    monkeypatch.chdir(tmp_path)
    assert len(await collect(CameraSource(settings(video, realtime=False)))) == 2


async def test_a_slow_consumer_loses_the_oldest_and_knows_it(until: Callable):
    source = CameraSource(settings(FORTY_S, fps=8, buffer_chunks=4))
    async with source:
        await until(lambda: source.status.state is CameraState.ENDED)
        chunks = [chunk async for chunk in source]
    times = times_of(chunks)
    assert (source.status.num_chunks, source.status.dropped_chunks) == (40, 36)
    assert len(chunks) == 4
    assert np.all(np.diff(times) > 0)
    assert times[-1] == source.status.last_frame_s
    [gap] = source.gaps
    assert gap.reason is GapReason.DROPPED
    assert gap.end_s == pytest.approx(chunks[0].start_s)
    assert gap.end_s - gap.start_s == pytest.approx(36)


async def test_a_slow_consumer_of_what_can_wait_loses_nothing():
    source = CameraSource(settings(FORTY_S, fps=8, realtime=False, buffer_chunks=1))
    chunks = []
    async with source:
        async for chunk in source:
            chunks.append(chunk)
            await asyncio.sleep(0.01)
    np.testing.assert_allclose(np.diff(times_of(chunks)), 1 / 8, atol=1e-6)
    assert (len(chunks), source.status.dropped_chunks) == (40, 0)


async def test_a_simulated_camera_shows_its_world():
    source = CameraSource(settings(FORTY_S, fps=1, realtime=False))
    chunks = await collect(source)
    for chunk in chunks:
        for pixels, time_s in zip(chunk.pixels, chunk.times_s, strict=True):
            np.testing.assert_array_equal(pixels, render(World(3), time_s, 64))


@pytest.mark.parametrize("kind", ["simulated", "file"])
async def test_a_killed_reader_is_replaced_and_nothing_lost(
    kind: str, make_video: Callable, tmp_path: Path, my_readers: Callable
):
    address = FORTY_S
    if kind == "file":
        address = make_video(tmp_path / "forty.mp4", seconds=40, fps=8)
    source = CameraSource(settings(address, fps=8, realtime=False, buffer_chunks=1))
    chunks = []
    async with source:
        async for chunk in source:
            chunks.append(chunk)
            if len(chunks) == 3:
                [pid] = my_readers()
                os.kill(pid, signal.SIGKILL)
    assert source.status.reconnects == 1
    np.testing.assert_allclose(np.diff(times_of(chunks)), 1 / 8, atol=1e-3)
    assert len(times_of(chunks)) == 320
    assert source.gaps == ()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\x00garbage" * 9999, "CameraOpenError"),
        (None, "CameraOpenError: .*No such file"),
    ],
)
async def test_a_file_that_cannot_be_read_is_told_and_tried_again(
    content: bytes | None, error: str, tmp_path: Path, video: Path, until: Callable
):
    path = tmp_path / "late.mp4"
    if content:
        path.write_bytes(content)
    source = CameraSource(settings(path, realtime=False))
    async with source:
        await until(lambda: source.status.reconnects >= 1)
        assert source.status.state is CameraState.OFFLINE
        assert re.match(error, source.status.error)
        [gap] = source.gaps
        assert gap.reason is GapReason.OFFLINE
        shutil.copy(video, path)
        assert len([chunk async for chunk in source]) == 2
    assert source.status.error is None


async def test_sound_without_picture_is_told(tmp_path: Path, until: Callable):
    path = tmp_path / "sound.au"  # 24 bytes of header: 8 kHz, one channel, mu-law
    head = (0x2E736E64, 24, 0xFFFFFFFF, 1, 8000, 1)
    path.write_bytes(b"".join(n.to_bytes(4, "big") for n in head) + bytes(16000))
    source = CameraSource(settings(path))
    async with source:
        await until(lambda: source.status.error)
        assert source.status.error.startswith("NoVideoError")


async def test_no_reader_is_left_after_leaving(my_readers: Callable):
    source = CameraSource(settings("simulated:?fps=8&size=64", fps=8))
    async with source:
        await anext(source)
        assert len(my_readers()) == 1
    assert my_readers() == []


@pytest.mark.parametrize("after_chunks", [0, 1])
async def test_no_reader_is_left_after_cancellation(
    after_chunks: int, my_readers: Callable, until: Callable
):
    begun = asyncio.Event()

    async def consume() -> None:
        async with CameraSource(settings(FORTY_S, fps=8, realtime=False)) as source:
            for _ in range(after_chunks):
                await anext(source)
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        task = asyncio.create_task(consume())
        await begun.wait()
        if not after_chunks:
            await until(my_readers)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert my_readers() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_leaving_at_any_moment_leaves_nothing(
    my_readers: Callable, tmp_path: Path
):
    for tick in range(10):
        async with CameraSource(settings(tmp_path / "none.mp4")):
            await asyncio.sleep(tick * 0.05)  # being started, asked, failed, reaped
        assert my_readers() == []
    gc.collect()  # what was not closed warns now, and a warning fails the test


WATCH_FOREVER = """
import asyncio
from ingest.settings import CameraSettings
from ingest.source import CameraSource
async def main():
    camera = CameraSettings(name="door", address="simulated:?fps=0.2", fps=0.2)
    async with CameraSource(camera) as source:
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_reader_dies_with_its_parent(readers_of: Callable, until: Callable):
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", WATCH_FOREVER)
    try:
        await until(lambda: readers_of(parent.pid))
        [reader] = readers_of(parent.pid)
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not is_running(reader), timeout_s=5)


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_the_address_is_in_no_argument(
    my_readers: Callable, video: Path, until: Callable
):
    async with CameraSource(settings(f"file:{video}?password=s3cret")):
        await until(my_readers)
        told = what_anyone_sees(my_readers()[0])
    assert b"ingest.reader" in told
    assert b"s3cret" not in told


def what_anyone_sees(pid: int) -> bytes:
    process = Path(f"/proc/{pid}")
    return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
