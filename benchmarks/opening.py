"""An empty memory over a real archive of its own, for as long as a benchmark takes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import NEWEST, UNBOUNDED, Setup
from memory.compression.bilevel import BiLevel
from memory.embedded_valkey import EmbeddedValkey
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
            resident = ResidentMemory(UNBOUNDED, NEWEST)
            yield MemoryStore(
                archive, spool, resident, levels, model.fingerprint, model.device
            )
