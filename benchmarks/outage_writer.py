"""The writer that `benchmarks.outages` kills: it remembers chunks and reports each.

A line on stdout says `opening` before the memory is opened, then `<number> archived` or
`<number> spooled` for each chunk, after `remember` has returned.
"""

import argparse
import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import torch

from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.errors import ArchiveUnavailableError
from memory.index import ChunkIndex
from memory.kv import KV, ChunkId, ChunkMemory
from memory.redis_archive import RedisArchive
from memory.relevance import IndexHeads
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

CAMERA, MODEL = "soak", "soak"
HEADS = IndexHeads.of([(0, 0)], queries_per_kv=1)
_RESIDENT_TOKENS = 40
_SPOOL_BYTES = 1 << 30
_LEVELS = BiLevel(LevelSettings("novelty", 8), LevelSettings("novelty", 2), HEADS, 1)


def id_of(number: int) -> ChunkId:
    """Give the name of the chunk of a number: one second each."""
    return ChunkId(CAMERA, number * 1000, number * 1000 + 1000)


def chunk_of(number: int) -> CompressedChunk:
    """Make the chunk of a number, always the same: 2 tokens of H-KV, 16 of L-KV."""
    random = torch.Generator().manual_seed(number)
    high, low = _kv(2, random), _kv(16, random)
    index_keys = torch.randn(1, 1, 8, generator=random)
    return CompressedChunk(ChunkMemory(id_of(number), high, index_keys, 16), low, 32, 0)


def _kv(tokens: int, random: torch.Generator) -> KV:
    keys, values = torch.randn(2, 1, 1, tokens, 8, generator=random)  # (L, H, S, D)
    return KV(keys, values, torch.zeros(1, 3, tokens), tokens)


@asynccontextmanager
async def open_store(url: str, folder: Path) -> AsyncIterator[MemoryStore]:
    """Open the memory that is written to and judged."""
    async with RedisArchive(url, model=MODEL, timeout_s=2.0) as archive:
        spool = await asyncio.to_thread(Spool, folder, _SPOOL_BYTES)
        resident = ResidentMemory(_RESIDENT_TOKENS, newest=1)
        cpu = torch.device("cpu")
        index = ChunkIndex(1 << 24)
        yield MemoryStore(archive, spool, resident, index, _LEVELS, MODEL, cpu)


async def write(url: str, folder: Path, first: int) -> None:
    """Remember and report chunks from a number on, for ever."""
    print("opening", flush=True)
    async with open_store(url, folder) as store, asyncio.TaskGroup() as tasks:
        with suppress(ArchiveUnavailableError):
            await store.rebuild([CAMERA])
        tasks.create_task(store.replay_spool())
        for number in itertools.count(first):
            stored = await store.remember(chunk_of(number))
            print(number, "spooled" if stored.is_spooled else "archived", flush=True)


def main() -> None:
    """Write until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage_writer")
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asyncio.run(write(arguments.url, arguments.folder, arguments.first))


if __name__ == "__main__":
    main()
