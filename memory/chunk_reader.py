"""Stored chunks, read back from the archive or from the spool, proved and decoded."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import torch

from memory.codec import decode_high, decode_low
from memory.errors import (
    ArchiveUnavailableError,
    ChunkNotFoundError,
    CorruptChunkError,
    MemoryStoreError,
)
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.outage import Outage
from memory.redis_archive import RedisArchive
from memory.spool import Spool

logger = logging.getLogger(__name__)

READ_BATCH = 32  # H-KV blobs read at once


@dataclass(frozen=True, slots=True)
class ChunkReader:
    """Reads both levels of stored chunks.

    Attributes:
        archive: Where they are kept.
        spool: Where those wait that the archive could not take yet.
        outage: Whether the archive is away, and not to be asked.
        model: Fingerprint of the model whose KV is wanted.
        index: Name of the heads whose index keys are wanted.
        device: Where KV is read.
    """

    archive: RedisArchive
    spool: Spool
    outage: Outage
    model: str
    index: str
    device: torch.device

    async def lows(self, chunks: Sequence[ChunkId]) -> list[KV | MemoryStoreError]:
        """Give the L-KV of chunks, or why there is none, in their order."""
        blobs = await self._blobs(chunks, Level.LOW)
        return [
            await self._decoded_low(chunk, blob)
            for chunk, blob in zip(chunks, blobs, strict=True)
        ]

    async def _decoded_low(
        self, chunk: ChunkId, blob: bytes | MemoryStoreError
    ) -> KV | MemoryStoreError:
        if isinstance(blob, MemoryStoreError):
            return blob
        try:
            return await asyncio.to_thread(self._read_low, blob, chunk)
        except CorruptChunkError as exc:
            with contextlib.suppress(ArchiveUnavailableError):
                await self.archive.delete(chunk, Level.LOW)
            return exc
        except MemoryStoreError as exc:
            return exc

    def _read_low(self, blob: bytes, chunk: ChunkId) -> KV:
        return decode_low(blob, chunk, self.model, self.device)

    async def highs(self, chunks: Sequence[ChunkId]) -> AsyncIterator[ChunkMemory]:
        """Read H-KV in batches, in the order of `chunks`; leave out what can't be.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
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
        """Read blobs from the spool if they still wait there, or from the archive.

        In this order, because chunks move that way: one on its way is in both.
        """
        spooled = await asyncio.to_thread(self._spooled, chunks, level)
        others = [chunk for chunk in chunks if chunk not in spooled]
        archived = await self._archived(others, level)
        found = dict(zip(others, archived, strict=True)) | spooled
        return [found[chunk] for chunk in chunks]

    def _spooled(self, chunks: Sequence[ChunkId], level: Level) -> dict[ChunkId, bytes]:
        found = {}
        for chunk in chunks:
            try:
                found[chunk] = self.spool.read(chunk)[level is Level.LOW]
            except ChunkNotFoundError:
                continue
            except (CorruptChunkError, OSError) as exc:
                logger.warning("the spool can't give a chunk: %s", exc)
        return found

    async def _archived(
        self, chunks: Sequence[ChunkId], level: Level
    ) -> list[bytes | MemoryStoreError]:
        if self.outage.is_on:
            away = ArchiveUnavailableError("the archive is away")
            return [away for _ in chunks]
        blobs = await self.archive.get_many([(chunk, level) for chunk in chunks])
        for blob in blobs:
            if isinstance(blob, ArchiveUnavailableError):
                self.outage.begin(blob)
        return blobs

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
            logger.warning("a chunk is left out: %s", exc)
            return None

    def _read_high(self, blob: bytes, chunk: ChunkId) -> ChunkMemory:
        return decode_high(blob, chunk, self.model, self.index, self.device)
