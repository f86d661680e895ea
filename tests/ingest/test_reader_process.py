import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ingest.errors import ReaderCrashedError, ReaderTooLargeError
from ingest.reader_process import ReaderProcess
from ingest.settings import CameraSettings, ReaderRequest
from ingest.wire import FrameChunk, Heartbeat


@pytest.fixture
def request_() -> ReaderRequest:
    address = "simulated:?size=64&fps=8&backlog_s=60"
    settings = CameraSettings(name="door", address=address, fps=8, realtime=False)
    return ReaderRequest(settings, os.getpid(), None)


async def test_it_tells_frames_and_chunks(request_: ReaderRequest):
    async with ReaderProcess(request_) as reader:
        await reader.ask()
        messages = [await reader.read() for _ in range(5)]
    assert {type(message) for message in messages} == {Heartbeat, FrameChunk}


async def test_a_crash_is_told_with_its_signal(request_: ReaderRequest):
    async with ReaderProcess(request_) as reader:
        await reader.ask()
        await reader.read()
        os.kill(reader.pid, signal.SIGSEGV)
        with pytest.raises(ReaderCrashedError) as caught:
            await read_to_the_end(reader)
    assert caught.value.exit_code == -signal.SIGSEGV


async def test_one_that_takes_too_much_memory_is_ended():
    address = "simulated:?size=512&fps=8&backlog_s=3600"
    camera = CameraSettings(
        name="door",
        address=address,
        fps=8,
        chunk_frames=1024,  # 800 MB
        max_side=512,
        realtime=False,
        reader_bytes=1 << 27,
    )
    async with ReaderProcess(ReaderRequest(camera, os.getpid(), None)) as reader:
        await reader.ask()
        with pytest.raises(ReaderTooLargeError, match="too much memory"):
            await read_to_the_end(reader)


async def test_what_its_parent_takes_is_not_its_own(request_: ReaderRequest):
    limit = 1 << 28
    camera = replace(request_.settings, reader_bytes=limit)
    held = np.ones(limit + 1, np.uint8)  # every page of it is touched
    async with ReaderProcess(ReaderRequest(camera, os.getpid(), None)) as reader:
        await reader.ask()
        started = time.monotonic()
        while time.monotonic() < started + 2:  # it looks twice a second
            await reader.read()
    assert len(held) > limit


async def read_to_the_end(reader: ReaderProcess) -> None:
    while True:
        await reader.read()


async def test_it_is_reaped_though_cancelled_twice(
    request_: ReaderRequest, my_readers: Callable
):
    entered = asyncio.Event()
    reader = ReaderProcess(request_)

    async def hold() -> None:
        async with reader:
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)  # it is being reaped now
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.exit_code == -signal.SIGKILL
    assert my_readers() == []
