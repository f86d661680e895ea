"""Cameras that are not to be watched for a while."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from ingest.clock import utc_now
from ingest.settings import CameraSettings
from ingest.source import CameraSource
from ingest.status import CameraState, GapReason

LIVE = "simulated:?seed=3"
TEN_S = "simulated:?seed=3&fps=8&duration_s=10&backlog_s=10"


def watch(address: str, **changes: object) -> CameraSource:
    usual = {"fps": 8.0, "chunk_frames": 4}
    return CameraSource(CameraSettings(name="door", address=address, **usual | changes))


async def test_a_pause_ends_the_reader_and_is_a_gap(
    until: Callable, my_readers: Callable
):
    source = watch(LIVE)
    async with source:
        before = await anext(source)
        paused_s = utc_now()
        source.pause()
        assert source.is_paused
        await until(lambda: my_readers() == [])
        assert source.status.state is CameraState.PAUSED
        [gap] = source.gaps
        assert (gap.reason, gap.end_s) == (GapReason.PAUSED, pytest.approx(utc_now()))
        await asyncio.sleep(1.0)
        resumed_s = utc_now()
        source.resume()
        await until(lambda: source.status.state is CameraState.ONLINE)
        after = await anext(source)
        while after.start_s < paused_s:  # what waited in the buffer
            before, after = after, await anext(source)
    assert after.start_s >= resumed_s - 0.2
    gap = source.gaps[0]
    assert gap.reason is GapReason.PAUSED
    assert gap.start_s == pytest.approx(before.end_s, abs=0.3)
    assert gap.end_s == pytest.approx(resumed_s, abs=0.1)
    opening = source.gaps[1]
    assert (opening.start_s, opening.reason) == (gap.end_s, GapReason.PAUSED)
    assert opening.end_s <= after.start_s


async def test_one_that_begins_paused_is_not_read_before_it_is_resumed(
    until: Callable, my_readers: Callable
):
    source = CameraSource(
        CameraSettings(name="door", address=LIVE, fps=8.0), is_paused=True
    )
    async with source:
        await asyncio.sleep(0.3)
        assert (source.status.state, my_readers()) == (CameraState.PAUSED, [])
        assert source.began_s is None
        source.resume()
        await anext(source)
        await until(lambda: source.status.state is CameraState.ONLINE)
    assert {gap.reason for gap in source.gaps} == {GapReason.PAUSED}
    assert source.gaps[-1].end_s == source.began_s


async def test_what_can_wait_loses_nothing():
    source = watch(TEN_S, realtime=False, buffer_chunks=1)
    async with source:
        chunks = [await anext(source) for _ in range(3)]
        source.pause()
        await asyncio.sleep(0.5)
        assert source.gaps == ()
        source.resume()
        chunks += [chunk async for chunk in source]
    times_s = np.concatenate([chunk.times_s for chunk in chunks])
    np.testing.assert_allclose(np.diff(times_s), 1 / 8, atol=1e-6)
    assert len(times_s) == 80
    assert source.gaps == ()


async def test_pausing_while_it_is_tried_again_ends_the_outage(
    free_port: Callable, until: Callable
):
    source = watch(f"rtsp://127.0.0.1:{free_port()}/none", open_timeout_s=1)
    async with source:
        await until(lambda: source.status.state is CameraState.OFFLINE)
        source.pause()
        assert source.status.error is None
        reasons = [gap.reason for gap in source.gaps]
        assert reasons == [GapReason.OFFLINE, GapReason.PAUSED]
        tries = source.status.reconnects
        await asyncio.sleep(1.0)
        assert source.status.reconnects == tries
        source.resume()
        await until(lambda: source.status.state is CameraState.OFFLINE)


async def test_leaving_while_paused_leaves_nothing(my_readers: Callable):
    source = watch(LIVE)
    async with source:
        await anext(source)
        source.pause()
    assert my_readers() == []


async def test_pausing_twice_or_after_the_end_changes_nothing(until: Callable):
    source = watch(TEN_S, realtime=False)
    async with source:
        source.pause()
        source.pause()
        source.resume()
        source.resume()
        assert [chunk async for chunk in source]
        source.pause()
        assert source.status.state is CameraState.ENDED
