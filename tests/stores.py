"""What tests of the whole memory share: a store, its chunks, and plans to read them."""

import asyncio
from pathlib import Path

import torch
from kv_factory import make_chunk

from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.index import ChunkIndex
from memory.kv import ChunkId, Level
from memory.recall import Reading
from memory.redis_archive import RedisArchive
from memory.relevance import IndexHeads
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

BILEVEL = BiLevel(
    LevelSettings("novelty", 8),
    LevelSettings("value_norm", 2),
    IndexHeads.of([(0, 0), (2, 1)], queries_per_kv=1),
    index_keys=3,
)


def compressed(number: int, camera: str = "door") -> CompressedChunk:
    id = ChunkId(camera, 1000 * number, 1000 * number + 1000)
    return BILEVEL.compress_chunk(id, make_chunk(seed=number))


async def new_store(
    archive: RedisArchive,
    folder: Path,
    *,
    budget: int = 10_000,
    newest: int = 0,
    spool_bytes: int = 1 << 20,
) -> MemoryStore:
    spool = await asyncio.to_thread(Spool, folder / "spool", spool_bytes)
    resident = ResidentMemory(budget, newest)
    index = ChunkIndex(1 << 24)
    cpu = torch.device("cpu")
    return MemoryStore(archive, spool, resident, index, BILEVEL, "m", cpu)


def fine(*numbers: int) -> list[Reading]:
    return [Reading(compressed(n).memory.id, Level.LOW, 0.5, True) for n in numbers]
