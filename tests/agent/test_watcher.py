import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import RedisServer
from tiny_model import make_chunks

from agent.prefill_queue import PrefillQueue
from agent.vlm.model import VisionLanguageModel
from agent.watcher import IN_FLIGHT, Watcher
from agent.worker import ModelThread, Priority
from ingest.frame import FrameChunk
from ingest.settings import CameraSettings
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.index import ChunkIndex
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore


class ListedCamera:
    """A camera that shows a list of chunks, then ends or waits for ever."""

    def __init__(self, chunks: list[FrameChunk], *, ends: bool) -> None:
        self.settings = CameraSettings(name=chunks[0].camera, address="simulated:")
        self._chunks, self._ends = chunks, ends
        self.num_taken = 0

    async def __aiter__(self) -> AsyncIterator[FrameChunk]:
        for chunk in self._chunks:
            self.num_taken += 1
            yield chunk
        if not self._ends:
            await asyncio.Event().wait()


@pytest.fixture
async def store(
    model: VisionLanguageModel, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> AsyncIterator[MemoryStore]:
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 8
    )
    archive = RedisArchive(redis_server.url, model=model.fingerprint, prefix=prefix)
    async with archive:
        yield MemoryStore(
            archive,
            await asyncio.to_thread(Spool, tmp_path, 1 << 20),
            ResidentMemory(1 << 20, newest=1),
            ChunkIndex(1 << 24),
            levels,
            model.fingerprint,
            model.device,
        )


def new_watcher(
    source: ListedCamera,
    model: VisionLanguageModel,
    thread: ModelThread,
    store: MemoryStore,
) -> Watcher:
    sink = model.prefill_sink()
    queue = PrefillQueue(thread, model, sink, store.bilevel, 1024, {})
    return Watcher(source, queue, store, 1)


async def test_every_chunk_of_a_camera_that_ends_is_remembered(
    model: VisionLanguageModel, store: MemoryStore
) -> None:
    camera = ListedCamera(make_chunks((8, 8, 3, 1, 8, 8)), ends=True)
    async with ModelThread() as thread, asyncio.TaskGroup() as tasks:
        watcher = new_watcher(camera, model, thread, store)
        tasks.create_task(watcher.watch())
        tasks.create_task(watcher.archive())
    assert watcher.counts.chunks == 6
    assert len(await store.archive.timeline("door")) == 6


async def test_a_camera_with_much_to_show_does_not_hold_up_the_others(
    model: VisionLanguageModel, store: MemoryStore
) -> None:
    much = ListedCamera(make_chunks((8,) * 24), ends=True)
    few = [replace(chunk, camera="yard") for chunk in make_chunks((8,) * 6)]
    little = ListedCamera(few, ends=True)
    sink = model.prefill_sink()
    async with ModelThread() as thread, asyncio.TaskGroup() as tasks:
        queue = PrefillQueue(thread, model, sink, store.bilevel, 1, {})  # one by one
        watchers = [Watcher(camera, queue, store, 1) for camera in (much, little)]
        ended = [
            tasks.create_task(task)
            for watcher in watchers
            for task in (watcher.watch(), watcher.archive())
        ]
        await ended[-1]  # the little one is through
        assert watchers[1].counts.chunks == 6
        assert watchers[0].counts.chunks <= 6 + IN_FLIGHT
    assert watchers[0].counts.chunks == 24


async def test_what_is_in_hand_when_stopped_is_kept(
    model: VisionLanguageModel, store: MemoryStore
) -> None:
    camera = ListedCamera(make_chunks((8,) * 6), ends=False)
    gate = threading.Event()
    async with asyncio.timeout(15), ModelThread() as thread:
        watcher = new_watcher(camera, model, thread, store)
        held = thread.submit(Priority.CHUNK, gate.wait)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watcher.watch())
            archiving = tasks.create_task(watcher.archive())
            for _ in range(20):
                await asyncio.sleep(0)
            assert camera.num_taken == IN_FLIGHT  # a newer one may take another's place
            watching.cancel()
            gate.set()
            await held
            await archiving
    assert watcher.counts.chunks == IN_FLIGHT
    assert watcher.counts.lost == 0


async def test_a_chunk_that_can_not_be_kept_does_not_end_the_watch(
    model: VisionLanguageModel, store: MemoryStore
) -> None:
    chunks = make_chunks((8, 8, 8))
    late_s = chunks[1].start_s + 7200  # longer than the archive takes
    hours = FrameChunk("door", chunks[1].pixels, chunks[1].times_s, late_s)
    camera = ListedCamera([chunks[0], hours, chunks[2]], ends=True)
    async with ModelThread() as thread, asyncio.TaskGroup() as tasks:
        watcher = new_watcher(camera, model, thread, store)
        tasks.create_task(watcher.watch())
        tasks.create_task(watcher.archive())
    assert (watcher.counts.chunks, watcher.counts.lost) == (2, 1)
