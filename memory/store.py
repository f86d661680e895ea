"""Memory as the agent sees it: remember a chunk, recall what a question needs, forget.

One facade over the resident H-KV, the archive and the spool. A chunk counts as
remembered once it is durable: in the archive, or in the spool on disk while the archive
is away.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from memory.archive_upkeep import retire
from memory.chunk_reader import ChunkReader
from memory.codec import Compression, encode_high, encode_low
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.errors import (
    ArchiveFullError,
    ArchiveUnavailableError,
    MemoryStoreError,
)
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.outage import Outage
from memory.recall import Reading
from memory.redis_archive import RedisArchive
from memory.replay import replay
from memory.resident import ResidentMemory
from memory.retention import Freed, Limits
from memory.spool import Spool
from memory.witnesses import Witnesses

logger = logging.getLogger(__name__)

REPLAY_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What remembering one chunk cost.

    Attributes:
        high_bytes: Size of its H-KV blob.
        low_bytes: Size of its L-KV blob.
        is_spooled: Whether it waits on disk for the archive.
    """

    high_bytes: int
    low_bytes: int
    is_spooled: bool


@dataclass(frozen=True, slots=True, eq=False)
class Recollection:
    """What a question reads.

    Attributes:
        readings: The plan as it could be carried out, in time order within each camera.
        runs: KV of each reading, on the device.
        degraded: Why it is less than was planned: `archive_unavailable`,
            `chunk_fallback`.
    """

    readings: tuple[Reading, ...]
    runs: tuple[KV, ...]
    degraded: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was watched in a time.

    Attributes:
        chunks: The chunks, in time order.
        is_whole: False if the archive could not be asked, or has lost some.
    """

    chunks: tuple[ChunkId, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What can be read of a time.

    Attributes:
        memories: H-KV and index keys, camera after camera, each in time order.
        is_whole: False if the archive could not be asked for more.
    """

    memories: tuple[ChunkMemory, ...]
    is_whole: bool


@dataclass(slots=True)
class MemoryStore:
    """The memory of all cameras.

    Attributes:
        archive: Where L-KV (and H-KV, for restarts) is kept.
        spool: Where chunks wait while the archive is away.
        resident: H-KV on the device.
        bilevel: How chunks are compressed.
        model: Fingerprint of the model whose KV this is.
        device: Where KV is read.
        fallbacks: Chunks read as H-KV so far because their L-KV was missing or corrupt.
        is_rebuilt: False while what was remembered before a restart is not resident.
        outage: Whether the archive is away.
    """

    archive: RedisArchive
    spool: Spool
    resident: ResidentMemory
    bilevel: BiLevel
    model: str
    device: torch.device
    fallbacks: int = field(default=0, init=False)
    is_rebuilt: bool = field(default=True, init=False)
    outage: Outage = field(default_factory=Outage, init=False)
    _witnesses: Witnesses = field(default_factory=Witnesses, init=False)

    async def remember(self, chunk: CompressedChunk) -> Stored:
        """Make a chunk durable, then resident.

        Raises:
            ArchiveFullError: The archive doesn't take it, and the spool has no room for
                it or can't be written.
        """
        id = chunk.memory.id
        high, low = await asyncio.to_thread(self._encode, chunk)
        is_spooled = False
        try:
            with self.outage.noticed():
                await self.archive.put(id, high, low)
            self._witnesses.saw(id)
        except (ArchiveUnavailableError, ArchiveFullError) as exc:
            logger.warning("%s/%s goes to the spool: %s", id.camera, id.name, exc)
            await asyncio.to_thread(self.spool.append, id, high, low)
            is_spooled = True
        self.resident.retain(chunk)
        return Stored(len(high), len(low), is_spooled)

    async def candidates(self, chunks: Sequence[ChunkId], max_tokens: int) -> Found:
        """Give the H-KV and index keys of chunks: resident ones, others as far as fit.

        Args:
            chunks: What was watched in the time that is asked about.
            max_tokens: Most H-KV tokens to read from the archive, newest chunks first.
        """
        cameras = sorted({chunk.camera for chunk in chunks})
        wanted = set(chunks)
        found = {m.id: m for m in self.resident.chunks(cameras) if m.id in wanted}
        missing = sorted(wanted - found.keys(), key=_start, reverse=True)
        is_whole = True
        try:
            async for memory in self._reader.highs(missing):
                max_tokens -= memory.high.num_tokens
                if max_tokens < 0:
                    break
                found[memory.id] = memory
        except ArchiveUnavailableError as exc:
            logger.warning("only resident chunks are considered: %s", exc)
            is_whole = False
        memories = tuple(found[chunk] for chunk in sorted(found))
        return Found(memories=memories, is_whole=is_whole)

    async def recall(
        self, plan: Sequence[Reading], memories: Sequence[ChunkMemory]
    ) -> Recollection:
        """Carry out a recall plan: fetch the L-KV it asks for, fall back to H-KV.

        Args:
            plan: Readings of chunks among `memories`.
            memories: The candidates that were planned from.
        """
        wanted = [r.chunk for r in plan if r.level is Level.LOW]
        found = {c: kv for c in wanted if (kv := self.resident.low(c)) is not None}
        missing = [chunk for chunk in wanted if chunk not in found]
        degraded = set()
        lows = await self._reader.lows(missing)
        for chunk, low in zip(missing, lows, strict=True):
            if isinstance(low, ArchiveUnavailableError):
                degraded.add("archive_unavailable")
            elif isinstance(low, MemoryStoreError):
                logger.warning("reading H-KV instead of L-KV: %s", low)
                self.fallbacks += 1
                degraded.add("chunk_fallback")
            else:
                found[chunk] = low

        high = {memory.id: memory.high for memory in memories}
        readings = [
            r if r.chunk in found else replace(r, level=Level.HIGH) for r in plan
        ]
        runs = [found.get(r.chunk, high[r.chunk]) for r in plan]
        return Recollection(tuple(readings), tuple(runs), frozenset(degraded))

    async def forget(self, camera: str, before_ms: int) -> Freed:
        """Forget a camera's chunks that ended before a moment.

        Gives back what went from the archive.

        Raises:
            ArchiveUnavailableError: The archive does not answer; ask again later.
        """
        self.resident.forget(camera, before_ms)
        self._witnesses.forget(camera, before_ms)
        for chunk in await asyncio.to_thread(self.spool.pending):
            if chunk.camera == camera and chunk.end_ms <= before_ms:
                await asyncio.to_thread(self.spool.remove, chunk)
        return await self.archive.forget(camera, before_ms)

    async def retire(self, cameras: Sequence[str], limits: Limits) -> Freed:
        """Have the archive give up what is over its limits, raising as `forget`."""
        done = await retire(self.archive, cameras, limits)
        for each in done.chunks:
            self._witnesses.forget(each.chunk.camera, each.end_ms)
        return done.freed

    async def watched(
        self, camera: str, start_ms: int | None, end_ms: int | None
    ) -> Watched:
        """Give all chunks remembered in a window, also those no longer resident."""
        here = {m.id for m in self.resident.chunks([camera], start_ms, end_ms)}
        spooled = await asyncio.to_thread(self.spool.pending)
        own = {chunk for chunk in spooled if chunk.camera == camera}
        here |= {chunk for chunk in own if chunk.overlaps(start_ms, end_ms)}
        is_whole = not self._witnesses.is_lost(camera, start_ms)
        try:
            with self.outage.noticed():
                here |= set(await self.archive.timeline(camera, start_ms, end_ms))
        except ArchiveUnavailableError as exc:
            logger.warning("coverage of %s without the archive: %s", camera, exc)
            is_whole = False
        return Watched(chunks=tuple(sorted(here)), is_whole=is_whole)

    async def rebuild(self, cameras: Sequence[str]) -> int:
        """Make the newest chunks resident again after a restart; give how many.

        Reads H-KV only, the newest of all cameras first, until the budget is full.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        self.is_rebuilt = False
        spooled = await asyncio.to_thread(self.spool.pending)
        chunks = {chunk for chunk in spooled if chunk.camera in cameras}
        for camera in cameras:
            chunks |= set(await self.archive.timeline(camera))
        count = 0
        newest_first = sorted(chunks, key=_start, reverse=True)
        async for memory in self._reader.highs(newest_first):
            if not self.resident.has_room(memory.high.num_tokens):
                break
            self.resident.insert(memory)
            count += 1
        self.is_rebuilt = True
        return count

    async def replay_spool(self) -> None:
        """Carry spooled chunks into the archive whenever it answers; runs for ever.

        This is the one who asks an archive that is away whether it is back.
        """
        while True:
            try:
                await replay(self.spool, self.archive, self.outage, self._witnesses)
            except (MemoryStoreError, OSError) as exc:
                logger.debug("the spool waits: %s", exc)
            await asyncio.sleep(REPLAY_INTERVAL_S)

    @property
    def _index(self) -> str:
        return self.bilevel.heads.index_name

    @property
    def _reader(self) -> ChunkReader:
        return ChunkReader(
            self.archive,
            self.spool,
            self.outage,
            self.model,
            self._index,
            self.device,
        )

    def _encode(self, chunk: CompressedChunk) -> tuple[bytes, bytes]:
        high, low = self.bilevel.high, self.bilevel.low
        made_high = Compression(high.method, high.factor, high.numbers)
        made_low = Compression(low.method, low.factor, low.numbers)
        return (
            encode_high(chunk.memory, made_high, self.model, self._index),
            encode_low(chunk.memory.id, chunk.low, made_low, self.model),
        )


def _start(chunk: ChunkId) -> int:
    return chunk.start_ms
