"""How long memory takes to be loaded after a restart, beside reading the same bytes.

Chunks of ten seconds in the built-in model's shape, of random KV, are remembered by the
product's own memory; of L-KV they have one token, since none is read. Then the server
is stopped and started, and memories are rebuilt from it in turns with plain reads of
the same keys: MGET of some hundred at a time, nothing proved or decoded.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from redis.asyncio import Redis

from agent.config_sections import MemoryConfig
from benchmarks.archive_ways import SHAPES
from benchmarks.contexts import HIGH, LOW, NEWEST
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.embedded_valkey import EmbeddedValkey
from memory.errors import MemoryStoreError
from memory.index import ChunkIndex
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.redis_archive import RedisArchive
from memory.relevance import IndexHeads
from memory.resident import ResidentMemory
from memory.spool import Spool
from memory.store import MemoryStore

MODEL, CAMERA = "restart", "bench"
HEADS = IndexHeads.of([(0, 0), (0, 1), (1, 1)], queries_per_kv=1)  # as many as built-in
HIGH_TOKENS, STAMP_TOKENS, WHOLE_TOKENS = 6, 3, 84  # of the built-in model's chunks
CHUNK_MS = 10_000
DAY_CHUNKS = 86_400_000 // CHUNK_MS
BEGAN_MS = 1_790_000_000_000
TURNS = 3
_POOL = 64  # different chunks
_AT_ONCE = 8  # written side by side
_BATCH = 256  # keys of a plain read
_SPOOL_BYTES = 1 << 30
_BUDGETS = MemoryConfig()


class CountingArchive(RedisArchive):
    """An archive that notes which blobs it is asked for."""

    asked: list[tuple[ChunkId, Level]]

    async def get(self, chunk: ChunkId, level: Level) -> bytes:
        """Note it, and give the blob."""
        self.asked.append((chunk, level))
        return await super().get(chunk, level)

    async def get_small(
        self, chunks: Sequence[ChunkId], level: Level
    ) -> list[bytes | MemoryStoreError]:
        """Note them, and give their blobs."""
        self.asked += [(chunk, level) for chunk in chunks]
        return await super().get_small(chunks, level)


async def measure(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Write so many chunks, start the server again, rebuild and read in turns.

    Args:
        folder: Where the server and the spool are; empty.
        count: Chunks of one camera.
        seed: Of their KV.
    """
    valkey = EmbeddedValkey(folder / "archive")
    spool = await asyncio.to_thread(Spool, folder / "spool", _SPOOL_BYTES)
    async with valkey, CountingArchive(valkey.url, model=MODEL) as archive:
        began = time.perf_counter()
        await _write(_open(archive, spool), count, seed)
        written_s = time.perf_counter() - began
    began = time.perf_counter()
    async with (
        valkey,
        CountingArchive(valkey.url, model=MODEL) as archive,
        Redis.from_url(valkey.url) as client,
    ):
        started_s = time.perf_counter() - began
        found = await _take_turns(archive, spool, client)
    return {
        "chunks": count,
        "chunk_s": CHUNK_MS / 1000,
        "resident_tokens_budget": _BUDGETS.resident_tokens,
        "index_bytes_budget": _BUDGETS.index_bytes,
        "write_s": round(written_s, 2),
        "server_start_s": round(started_s, 2),
        **found,
    }


def _open(archive: RedisArchive, spool: Spool) -> MemoryStore:
    """Give a memory with nothing in it yet, under the usual budgets."""
    return MemoryStore(
        archive,
        spool,
        ResidentMemory(_BUDGETS.resident_tokens, NEWEST),
        ChunkIndex(_BUDGETS.index_bytes),
        BiLevel(HIGH, LOW, HEADS, _BUDGETS.index_keys),
        MODEL,
        torch.device("cpu"),
    )


async def _write(store: MemoryStore, count: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    pool = [_chunk(random) for _ in range(_POOL)]
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        chunks = [_named(pool[number % _POOL], number) for number in numbers]
        await asyncio.gather(*map(store.remember, chunks))


def _chunk(random: torch.Generator) -> CompressedChunk:
    high, low = _kv(HIGH_TOKENS, random), _kv(1, random)
    size = SHAPES["builtin"].size
    keys = torch.randn(len(HEADS.kv_heads), _BUDGETS.index_keys, size, generator=random)
    memory = ChunkMemory(_id(0), high, keys, 1, STAMP_TOKENS)
    return CompressedChunk(memory, low, WHOLE_TOKENS, 0)


def _kv(tokens: int, random: torch.Generator) -> KV:
    shape = SHAPES["builtin"]
    sizes = (2, shape.layers, shape.heads, tokens, shape.size)
    keys, values = torch.randn(sizes, generator=random)
    positions = torch.arange(float(tokens)).expand(shape.layers, 3, -1)
    return KV(keys, values, positions, WHOLE_TOKENS)


def _named(chunk: CompressedChunk, number: int) -> CompressedChunk:
    return replace(chunk, memory=replace(chunk.memory, id=_id(number)))


def _id(number: int) -> ChunkId:
    start_ms = BEGAN_MS + number * CHUNK_MS
    return ChunkId(CAMERA, start_ms, start_ms + CHUNK_MS)


async def _take_turns(
    archive: CountingArchive, spool: Spool, client: Redis
) -> dict[str, Any]:
    """Rebuild and read in turns; give what both took, and what was read."""
    rebuilt_s, read_s = [], []
    for _ in range(TURNS):
        archive.asked = []
        before = await _reads(client)
        store = _open(archive, spool)
        began = time.perf_counter()
        loading = await store.rebuild([CAMERA])
        rebuilt_s.append(time.perf_counter() - began)
        commands = await _reads(client)
        commands.subtract(before)
        began = time.perf_counter()
        num_bytes = await _read(client, archive)
        read_s.append(time.perf_counter() - began)
    levels = Counter(level for _, level in archive.asked)
    ratios = [read / whole for read, whole in zip(read_s, rebuilt_s, strict=True)]
    return {
        "turns": TURNS,
        "rebuild_s": round(median(rebuilt_s), 3),
        "read_s": round(median(read_s), 3),
        "rebuild_s_of_turns": [round(each, 3) for each in rebuilt_s],
        "read_s_of_turns": [round(each, 3) for each in read_s],
        "ratio": round(median(ratios), 3),
        "blobs": levels.total(),
        "bytes": num_bytes,
        **{f"{each.name.lower()}_blobs_read": levels[each] for each in Level},
        "server_counted": dict(commands),
        "resident_nodes": loading.num_nodes,
        "left_out": loading.num_left_out,
        "indexed": loading.num_keys,
        "resident_tokens": store.resident.num_tokens,
        "index_bytes": store.index.num_bytes,
    }


async def _reads(client: Redis) -> Counter[str]:
    """Give how often the server was asked for blobs, and by how many commands."""
    counted = await client.info("commandstats")
    names = ("get", "mget")
    calls = {n: counted.get(f"cmdstat_{n}", {}).get("calls", 0) for n in names}
    stats = await client.info("stats")
    hits = stats["keyspace_hits"] + stats["keyspace_misses"]
    return Counter(calls | {"key_lookups": hits})


async def _read(client: Redis, archive: CountingArchive) -> int:
    """Read what a rebuild has asked for, and nothing else; give its bytes."""
    keys = [archive.keys.blob(*each, MODEL) for each in archive.asked]
    num_bytes = 0
    for start in range(0, len(keys), _BATCH):
        found = await client.mget(keys[start : start + _BATCH])
        num_bytes += sum(map(len, found))
    return num_bytes
