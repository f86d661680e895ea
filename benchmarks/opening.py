"""An empty memory over a real archive of its own, for as long as a benchmark takes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import NEWEST, UNBOUNDED, Setup
from memory.compression.bilevel import BiLevel
from memory.embedded_valkey import EmbeddedValkey
from memory.index import ChunkIndex
from memory.kv import ChunkId, ChunkMemory
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

SPOOL_BYTES = 1 << 30


@asynccontextmanager
async def open_store(
    model: VisionLanguageModel, setup: Setup
) -> AsyncIterator[MemoryStore]:
    """Give an empty memory over an archive of its own, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="longwatch-bench-") as name:
        folder = Path(name)
        async with (
            EmbeddedValkey(folder / "archive") as valkey,
            RedisArchive(valkey.url, model=model.fingerprint) as archive,
        ):
            spool = await asyncio.to_thread(Spool, folder / "spool", SPOOL_BYTES)
            levels = BiLevel(setup.high, setup.low, model.heads, setup.index_keys)
            yield MemoryStore(
                archive,
                spool,
                ResidentMemory(UNBOUNDED, NEWEST),
                ChunkIndex(UNBOUNDED),
                levels,
                model.fingerprint,
                model.device,
            )


def empty(store: MemoryStore, newest: int) -> None:
    """Have a memory begin anew; its archive stays."""
    store.resident = ResidentMemory(UNBOUNDED, newest)
    store.index = ChunkIndex(UNBOUNDED)


async def read_memories(
    store: MemoryStore, chunks: Sequence[ChunkId]
) -> list[ChunkMemory]:
    """Give chunks as the archive has them, as after a restart."""
    nodes = [node async for node in store.reader.nodes(chunks)]
    keys = [each async for batch in store.reader.keys(chunks) for each in batch]
    return [
        ChunkMemory(n.id, n.high, k.index_keys, n.low_tokens, n.stamp_tokens)
        for n, k in zip(nodes, keys, strict=True)
    ]
