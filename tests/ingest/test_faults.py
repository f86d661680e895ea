"""Whatever a camera does, the watcher knows in time, and is back in time.

The bounds are those that docs/cameras.md names, for these time-outs.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.feeds import Feed, damaged, encode, encode_sound, garbage
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from ingest.status import CameraState, GapReason

OPEN_S, STALL_S = 2.0, 1.5
START_S = 5.0  # for a process, on a busy machine
BACK_OFF_S = 0.5  # the first; the next ones up to twice as long each


@pytest.fixture
def feed() -> Iterator[Callable[..., Feed]]:
    """Start a feed; its arguments are those of `Feed`."""
    feeds: list[Feed] = []

    def start(data: bytes, seconds: float, more: bytes = b"") -> Feed:
        feeds.append(Feed(data, seconds, more))
        return feeds[-1]

    yield start
    for each in feeds:
        each.thaw()
        each.kill()


@pytest.fixture(scope="module")
def minute() -> bytes:
    return encode(60)


def watch(address: object, **changes: object) -> CameraSource:
    usual = {"fps": 4.0, "chunk_frames": 4}
    limits = {"open_timeout_s": OPEN_S, "stall_timeout_s": STALL_S}
    return CameraSource(
        CameraSettings(name="door", address=str(address), **usual | limits | changes)
    )


async def is_down(source: CameraSource, until: Callable, within_s: float) -> None:
    down = (CameraState.OFFLINE, CameraState.STALLED)
    await until(lambda: source.status.state in down, timeout_s=within_s)
    assert source.status.error
    assert "s3cret" not in source.status.error
    await until(lambda: source.gaps)  # the last chunk's time has to be over
    assert source.gaps[-1].reason in (GapReason.OFFLINE, GapReason.STALLED)


async def is_back(source: CameraSource, until: Callable, within_s: float) -> None:
    online = CameraState.ONLINE
    await until(lambda: source.status.state is online, timeout_s=within_s)


async def test_refused(free_port: Callable, until: Callable):
    async with watch(f"http://127.0.0.1:{free_port()}/live.ts") as source:
        await is_down(source, until, START_S)
        assert "refused" in source.status.error


async def test_frozen_and_thawed(minute: bytes, feed: Callable, until: Callable):
    camera = feed(minute, 60)
    async with watch(camera.url) as source:
        await anext(source)
        camera.freeze()
        await is_down(source, until, 2 * STALL_S + 1)
        assert source.status.state is CameraState.STALLED
        camera.thaw()
        await is_back(source, until, OPEN_S + START_S + 2 * BACK_OFF_S)


async def test_killed_and_started_again(minute: bytes, feed: Callable, until: Callable):
    camera = feed(minute, 60)
    async with watch(camera.url) as source:
        await anext(source)
        camera.kill()
        await is_down(source, until, STALL_S + 1)
        camera.start()
        await is_back(source, until, START_S + 4 * BACK_OFF_S)


async def test_a_listener_that_closes_is_noticed_with_its_connection(
    minute: bytes, feed: Callable, until: Callable
):
    camera = feed(minute, 60)
    async with watch(camera.url) as source:
        await anext(source)
        camera.stop_listening()
        await anext(source)
        await anext(source)
        assert source.status.state is CameraState.ONLINE  # its connection is there
        camera.hang_up()
        await is_down(source, until, STALL_S + 1)
        camera.start()
        await is_back(source, until, START_S + 4 * BACK_OFF_S)


async def test_garbage_in_the_middle(feed: Callable, until: Callable):
    camera = feed(encode(4), 4, more=garbage(20_000))
    async with watch(camera.url) as source:
        await anext(source)
        await is_down(source, until, 4 + STALL_S + 1)


async def test_garbage_from_the_beginning(feed: Callable, until: Callable):
    camera = feed(garbage(50_000), 1, more=garbage(50_000))
    async with watch(camera.url) as source:
        await is_down(source, until, OPEN_S + START_S + 1)


async def test_another_codec_than_it_says(feed: Callable, until: Callable):
    other = encode(20, codec="mpeg4", container="m4v")
    async with watch(feed(other, 20).url, format="h264") as source:
        await is_down(source, until, OPEN_S + START_S + 1)


async def test_sound_without_picture(feed: Callable, until: Callable):
    async with watch(feed(encode_sound(20), 20).url) as source:
        await is_down(source, until, OPEN_S + START_S + 1)
        assert source.status.error.startswith("NoVideoError")


async def test_another_resolution_in_the_middle(feed: Callable):
    stream = encode(4) + encode(8, size=(320, 240), start_s=4)
    async with watch(feed(stream, 12).url) as source:
        shapes = [(await anext(source)).pixels.shape[1:3] for _ in range(8)]
    assert shapes[0] == (120, 160)
    assert shapes[-1] == (240, 320)
    assert source.status.reconnects == 0


async def test_damaged_packets(minute: bytes, feed: Callable):
    camera = feed(damaged(minute, 0.002), 60)
    async with watch(camera.url) as source:
        began_s = time.monotonic()
        chunks = [await anext(source) for _ in range(5)]
        assert time.monotonic() - began_s < 5 + OPEN_S + START_S
    times = np.concatenate([chunk.times_s for chunk in chunks])
    assert np.all(np.diff(times) > 0)
    assert source.status.reconnects == 0


async def test_a_trickle_is_not_a_stall(feed: Callable):
    camera = feed(encode(30, fps=1), 30)
    async with watch(
        camera.url, fps=1.0, chunk_frames=2, open_timeout_s=8.0, stall_timeout_s=3.0
    ) as source:
        for _ in range(3):
            await anext(source)
    assert (source.status.reconnects, source.status.error) == (0, None)


@pytest.mark.parametrize("share", [0.3, 0.6])
async def test_a_truncated_file(share: float, video: Path, tmp_path: Path):
    whole = encode(12, container="mpegts")
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole[: round(len(whole) * share)])
    async with watch(cut, realtime=False) as source:
        seen_s = sum([len(chunk.times_s) / 4 async for chunk in source])
    assert source.status.state is CameraState.ENDED
    assert seen_s == pytest.approx(12 * share, abs=1)


@pytest.fixture
def no_index(video: Path, tmp_path: Path) -> Path:
    """A video whose end is missing, and its index with it."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:5000])
    return cut


async def test_a_truncated_file_without_its_index(no_index: Path, until: Callable):
    async with watch(no_index, realtime=False) as source:
        await is_down(source, until, START_S)
