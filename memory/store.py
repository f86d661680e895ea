"""Memory as the agent sees it: remember a chunk, recall what a question needs, forget.

One facade over the resident H-KV, the archive and the spool. A chunk counts as
remembered once it is durable: in the archive, or in the spool on disk while the archive
is away.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from memory.codec import Compression, decode_high, decode_low, encode_high, encode_low
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.errors import (
    ArchiveFullError,
    ArchiveUnavailableError,
    CorruptChunkError,
    MemoryStoreError,
)
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.recall import Reading
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory
from memory.spool import Spool

logger = logging.getLogger(__name__)

READ_BATCH = 32  # H-KV blobs read at once
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
        is_whole: False if the archive could not be asked: there may be more.
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
    """

    archive: RedisArchive
    spool: Spool
    resident: ResidentMemory
    bilevel: BiLevel
    model: str
    device: torch.device
    fallbacks: int = field(default=0, init=False)

    async def remember(self, chunk: CompressedChunk) -> Stored:
        """Make a chunk durable, then resident.

        Raises:
            OSError: The archive is away and the spool can't be written either.
            ArchiveFullError: The archive is away and the spool has no room for it.
        """
        id = chunk.memory.id
        high, low = await asyncio.to_thread(self._encode, chunk)
        is_spooled = False
        try:
            await self.archive.put(id, high, low)
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
            async for memory in self._stored_memories(missing):
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
        degraded = await self._fetch(missing, found)

        high = {memory.id: memory.high for memory in memories}
        readings = [
            r if r.chunk in found else replace(r, level=Level.HIGH) for r in plan
        ]
        runs = [found.get(r.chunk, high[r.chunk]) for r in plan]
        return Recollection(tuple(readings), tuple(runs), frozenset(degraded))

    async def forget(self, camera: str, before_ms: int) -> int:
        """Forget a camera's chunks that ended before a moment; give how many.

        Raises:
            ArchiveUnavailableError: The archive does not answer; ask again later.
        """
        self.resident.forget(camera, before_ms)
        for chunk in await asyncio.to_thread(self.spool.pending):
            if chunk.camera == camera and chunk.end_ms <= before_ms:
                await asyncio.to_thread(self.spool.remove, chunk)
        return await self.archive.forget(camera, before_ms)

    async def watched(
        self, camera: str, start_ms: int | None, end_ms: int | None
    ) -> Watched:
        """Give all chunks remembered in a window, also those no longer resident."""
        here = {m.id for m in self.resident.chunks([camera], start_ms, end_ms)}
        is_whole = True
        try:
            here |= set(await self.archive.timeline(camera, start_ms, end_ms))
        except ArchiveUnavailableError as exc:
            logger.warning("coverage of %s from resident chunks only: %s", camera, exc)
            is_whole = False
        return Watched(chunks=tuple(sorted(here)), is_whole=is_whole)

    async def rebuild(self, cameras: Sequence[str]) -> int:
        """Make the newest chunks resident again after a restart; give how many.

        Reads H-KV only, the newest of all cameras first, until the budget is full.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        spooled = await asyncio.to_thread(self.spool.pending)
        chunks = {chunk for chunk in spooled if chunk.camera in cameras}
        for camera in cameras:
            chunks |= set(await self.archive.timeline(camera))
        count = 0
        newest_first = sorted(chunks, key=_start, reverse=True)
        async for memory in self._stored_memories(newest_first):
            if not self.resident.has_room(memory.high.num_tokens):
                break
            self.resident.insert(memory)
            count += 1
        return count

    async def replay_spool(self) -> None:
        """Carry spooled chunks into the archive whenever it answers; runs for ever."""
        while True:
            for chunk in await asyncio.to_thread(self.spool.pending):
                try:
                    high, low = await asyncio.to_thread(self.spool.read, chunk)
                    await self.archive.put(chunk, high, low)
                except CorruptChunkError as exc:
                    logger.warning("spooled chunk is torn: %s", exc)
                except (MemoryStoreError, OSError) as exc:
                    logger.debug("the spool waits: %s", exc)
                    break
                await asyncio.to_thread(self.spool.remove, chunk)
            await asyncio.sleep(REPLAY_INTERVAL_S)

    @property
    def _index(self) -> str:
        return self.bilevel.heads.index_name

    def _encode(self, chunk: CompressedChunk) -> tuple[bytes, bytes]:
        high, low = self.bilevel.high, self.bilevel.low
        made_high = Compression(high.method, high.factor)
        made_low = Compression(low.method, low.factor)
        return (
            encode_high(chunk.memory, made_high, self.model, self._index),
            encode_low(chunk.memory.id, chunk.low, made_low, self.model),
        )

    async def _fetch(
        self, chunks: Sequence[ChunkId], found: dict[ChunkId, KV]
    ) -> set[str]:
        """Add the archived L-KV of chunks to `found`; give what went wrong."""
        degraded = set()
        blobs = await self._blobs(chunks, Level.LOW)
        for chunk, blob in zip(chunks, blobs, strict=True):
            try:
                kv = await self._decoded_low(chunk, blob)
            except ArchiveUnavailableError:
                degraded.add("archive_unavailable")
            except MemoryStoreError as exc:
                logger.warning("reading H-KV instead of L-KV: %s", exc)
                self.fallbacks += 1
                degraded.add("chunk_fallback")
            else:
                found[chunk] = kv
        return degraded

    async def _decoded_low(self, chunk: ChunkId, blob: bytes | MemoryStoreError) -> KV:
        if isinstance(blob, MemoryStoreError):
            raise blob
        try:
            return await asyncio.to_thread(self._read_low, blob, chunk)
        except CorruptChunkError:
            await self.archive.delete(chunk, Level.LOW)
            raise

    def _read_low(self, blob: bytes, chunk: ChunkId) -> KV:
        return decode_low(blob, chunk, self.model).to(self.device)

    async def _stored_memories(
        self, chunks: Sequence[ChunkId]
    ) -> AsyncIterator[ChunkMemory]:
        """Read H-KV in batches, in the order of `chunks`; leave out what can't be."""
        for start in range(0, len(chunks), READ_BATCH):
            batch = chunks[start : start + READ_BATCH]
            blobs = await self._blobs(batch, Level.HIGH)
            for chunk, blob in zip(batch, blobs, strict=True):
                memory = await self._decoded_high(chunk, blob)
                if memory is not None:
                    yield memory

    async def _blobs(
        self, chunks: Sequence[ChunkId], level: Level
    ) -> list[bytes | MemoryStoreError]:
        """Read blobs from the archive, or from the spool if they still wait there."""
        blobs = await self.archive.get_many([(chunk, level) for chunk in chunks])
        if any(isinstance(blob, MemoryStoreError) for blob in blobs):
            return await asyncio.to_thread(self._from_spool, chunks, blobs, level)
        return blobs

    def _from_spool(
        self,
        chunks: Sequence[ChunkId],
        blobs: Sequence[bytes | MemoryStoreError],
        level: Level,
    ) -> list[bytes | MemoryStoreError]:
        found = list(blobs)
        spooled = set(self.spool.pending())
        for number, chunk in enumerate(chunks):
            if isinstance(blobs[number], MemoryStoreError) and chunk in spooled:
                try:
                    found[number] = self.spool.read(chunk)[level is Level.LOW]
                except CorruptChunkError as exc:
                    found[number] = exc
        return found

    async def _decoded_high(
        self, chunk: ChunkId, blob: bytes | MemoryStoreError
    ) -> ChunkMemory | None:
        try:
            if isinstance(blob, MemoryStoreError):
                raise blob
            return await asyncio.to_thread(self._read_high, blob, chunk)
        except ArchiveUnavailableError:
            raise
        except MemoryStoreError as exc:
            logger.warning("chunk is not rebuilt: %s", exc)
            return None

    def _read_high(self, blob: bytes, chunk: ChunkId) -> ChunkMemory:
        memory = decode_high(blob, chunk, self.model, self._index)
        index_keys = memory.index_keys.to(self.device)
        high = memory.high.to(self.device)
        return ChunkMemory(chunk, high, index_keys, memory.low_tokens)


def _start(chunk: ChunkId) -> int:
    return chunk.start_ms
