"""A memory that gets older: written at full speed, and asked at each age.

`benchmarks.long_run` has it remember what a model saw, `benchmarks.long_shape` random
numbers of a larger model's shape. What both need is here.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.long_stream import CAMERA, HOUR_CHUNKS
from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.index import ChunkIndex
from memory.recall import RecallLimits
from memory.redis_archive import RedisArchive
from memory.relevance import IndexHeads
from memory.resident import ResidentMemory
from memory.retention import Limits
from memory.spool import Spool
from memory.store import MemoryStore

PROG = "python -m benchmarks.long_run"
DAY_CHUNKS = 24 * HOUR_CHUNKS
LEVELS = LevelSettings("novelty", 16, "int8"), LevelSettings("novelty", 2, "int4")
INDEX_KEYS = 8
LIMITS = RecallLimits(top_k=4, newest=1, context_tokens=16384)

Row = dict[str, Any]


class Stream(Protocol):
    """What is remembered, chunk after chunk."""

    def chunks(self, start: int, end: int) -> Iterator[CompressedChunk]:
        """Give chunks of the stream."""


class LongMemory:
    """One memory that gets older.

    Args:
        store: The memory.
        stream: What is remembered.
        limits: What the archive may hold.
        retire_every: Chunks after which it is held to that.
    """

    def __init__(
        self, store: MemoryStore, stream: Stream, limits: Limits, retire_every: int
    ) -> None:
        self.store, self.stream, self.limits = store, stream, limits
        self.retire_every = retire_every
        self.count = 0
        self.retired = 0

    async def grow_old(
        self, ages: Mapping[str, int], ask: Callable[[], Awaitable[Row]]
    ) -> list[Row]:
        """Write up to each age, and ask; give what was found."""
        rows: list[Row] = []
        with Bar(console=Console(stderr=True)) as bar:
            for age, count in ages.items():
                speed = await self.write_until(count, bar)
                row = {"age": age, "chunks": count, **await ask()}
                rows.append(row | await self.hold() | speed)
                show(rows)
        return rows

    async def write_until(self, count: int, bar: Bar) -> dict[str, float]:
        """Remember chunks up to a number; give how fast."""
        task = bar.add_task(f"to {count:,} chunks", total=count - self.count)
        began, before = time.perf_counter(), self.count
        for chunk in self.stream.chunks(self.count, count):
            await self.store.remember(chunk)
            self.count += 1
            bar.advance(task)
            if self.count % self.retire_every == 0:
                freed = await self.store.retire([CAMERA], self.limits)
                self.retired += freed.num_lows
        seconds = time.perf_counter() - began
        bar.remove_task(task)
        return {"chunks_per_s": round((self.count - before) / seconds, 1)}

    async def hold(self) -> Row:
        """Give what memory holds now."""
        async with self.store.archive.redis.turn() as client:
            info = await client.info("memory")
        nodes = self.store.resident.nodes([CAMERA])
        return {
            "resident_tokens": self.store.resident.num_tokens,
            "resident_nodes": dict(Counter(n.id.tier.name.lower() for n in nodes)),
            "index_bytes": self.store.index.num_bytes,
            "indexed": len(self.store.index),
            "process_bytes": _resident_bytes(),
            "archive_bytes": await self.store.archive.size(CAMERA),
            "server_bytes": info["used_memory_rss"],
            "lows_retired": self.retired,
        }


def _resident_bytes() -> int:
    """Give the resident set of this process, after Linux."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def open_store(
    archive: RedisArchive,
    folder: Path,
    arguments: argparse.Namespace,
    heads: IndexHeads,
    device: torch.device,
) -> MemoryStore:
    """Give a memory with nothing in it yet, under the budgets of a command line."""
    return MemoryStore(
        archive,
        await asyncio.to_thread(Spool, folder / "spool", 1 << 30),
        ResidentMemory(arguments.resident_tokens, LIMITS.newest),
        ChunkIndex(arguments.index_bytes),
        BiLevel(*LEVELS, heads, INDEX_KEYS),
        archive.model,
        device,
    )


def filled(arguments: argparse.Namespace, **usual: int) -> argparse.Namespace:
    """Give a command line with the usual numbers where it has none."""
    told = {name: value for name, value in vars(arguments).items() if value is not None}
    return argparse.Namespace(**(vars(arguments) | usual | told))


def facts(arguments: argparse.Namespace, **made_of: str) -> Row:
    """Give what a result says before its rows.

    Args:
        arguments: The command line, filled.
        made_of: What was remembered.
    """
    return {
        "command": PROG,
        **made_of,
        "seed": arguments.seed,
        "days": arguments.days,
        "pool": arguments.pool,
        "resident_tokens": arguments.resident_tokens,
        "context_tokens": LIMITS.context_tokens,
        "top_k": LIMITS.top_k,
        "index_bytes": arguments.index_bytes,
        "archive_bytes": arguments.archive_bytes,
        "numbers": [level.numbers for level in LEVELS],
        "server": "redis-server without a file",
        "threads": torch.get_num_threads(),
        **describe(),
    }


def show(rows: Sequence[Row]) -> None:
    """Print what was measured at each age."""
    table = Table("", *(row["age"] for row in rows))
    names = dict.fromkeys(name for row in rows for name in row if name != "age")
    for name in names:
        table.add_row(name, *(str(row[name]) for row in rows))
    Console().print(table)
