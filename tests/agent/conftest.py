"""The tiny model that tests of the agent ask."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from asking import LIMITS, NoGaps
from servers import RedisServer
from tiny_model import make_chunks, make_model

from agent.answerer import Answerer
from agent.decode_queue import DecodeQueue
from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread
from memory.compression.bilevel import BiLevel, LevelSettings
from memory.index import ChunkIndex
from memory.kv import ChunkId
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return make_model()


@pytest.fixture
async def answerer(
    model: VisionLanguageModel,
    start_redis: Callable[..., RedisServer],
    prefix: str,
    tmp_path: Path,
) -> AsyncIterator[Answerer]:
    """An answerer that remembers six chunks, three of them resident."""
    server = await asyncio.to_thread(start_redis)
    levels = BiLevel(
        LevelSettings("novelty", 16), LevelSettings("value_norm", 2), model.heads, 8
    )
    archive = RedisArchive(
        server.url, model=model.fingerprint, prefix=prefix, timeout_s=1
    )
    async with archive, ModelThread() as thread:
        sink = model.prefill_sink()
        store = MemoryStore(
            archive,
            await asyncio.to_thread(Spool, tmp_path, 1 << 20),
            ResidentMemory(budget_tokens=18, newest=1),
            ChunkIndex(1 << 24),
            levels,
            model.fingerprint,
            model.device,
        )
        for chunk in make_chunks((8,) * 6):
            id = ChunkId("door", int(chunk.start_s * 1e3), int(chunk.end_s * 1e3))
            whole = await asyncio.to_thread(model.prefill, chunk, [sink])
            await store.remember(levels.compress_chunk(id, whole))
        decoding = DecodeQueue(thread, model, sink, 4)
        yield Answerer(decoding, store, LIMITS, {"door": NoGaps()})
