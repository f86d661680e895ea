"""Stored chunks, read back from the archive or from the spool, proved and decoded."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from memory.codec import decode_keys, decode_low, decode_node, decode_picture
from memory.errors import (
    ArchiveUnavailableError,
    ChunkNotFoundError,
    CorruptChunkError,
    MemoryStoreError,
)
from memory.kv import KV, ChunkId, Level, Node
from memory.outage import Outage
from memory.redis_archive import RedisArchive
from memory.relevance import ChunkKeys
from memory.spool import Spool

logger = logging.getLogger(__name__)

READ_BATCH = 32  # H-KV blobs read at once
KEYS_BATCH = 256  # index keys, which are small

T = TypeVar("T")
Times = tuple[int | None, int | None]
"""Start and end, UTC in milliseconds; None is without end."""


@dataclass(frozen=True, slots=True)
class ChunkReader:
    """Reads what is stored of chunks and nodes.

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

    async def stored(self, camera: str, times: Times) -> tuple[set[ChunkId], bool]:
        """Give the chunks of a camera and a time, and whether the archive was asked."""
        pending = await asyncio.to_thread(self.spool.pending)
        found = {c for c in pending if c.camera == camera and c.overlaps(*times)}
        try:
            with self.outage.noticed():
                return found | set(await self.archive.timeline(camera, *times)), True
        except ArchiveUnavailableError as exc:
            logger.warning("only chunks in the spool are known: %s", exc)
            return found, False

    async def lows(self, chunks: Sequence[ChunkId]) -> list[KV | MemoryStoreError]:
        """Give the L-KV of chunks, or why there is none, in their order."""
        blobs = await self._blobs(chunks, Level.LOW)
        found = await asyncio.to_thread(self._read_lows, chunks, blobs)
        for chunk, low in zip(chunks, found, strict=True):
            if isinstance(low, CorruptChunkError):
                with contextlib.suppress(ArchiveUnavailableError):
                    await self.archive.delete(chunk, Level.LOW)
        return found

    def _read_lows(
        self, chunks: Sequence[ChunkId], blobs: Sequence[bytes | MemoryStoreError]
    ) -> list[KV | MemoryStoreError]:
        found: list[KV | MemoryStoreError] = []
        for chunk, blob in zip(chunks, blobs, strict=True):
            if isinstance(blob, MemoryStoreError):
                found.append(blob)
                continue
            try:
                found.append(decode_low(blob, chunk, self.model, self.device))
            except MemoryStoreError as exc:
                found.append(exc)
        return found

    async def picture(self, chunk: ChunkId) -> bytes:
        """Give the JPEG of a chunk.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
            ChunkNotFoundError: There is none.
            CorruptChunkError: It does not prove itself.
        """
        [blob] = await self._blobs([chunk], Level.PICTURE)
        if isinstance(blob, MemoryStoreError):
            raise blob
        return await asyncio.to_thread(decode_picture, blob, chunk, self.model)

    async def nodes(self, ids: Sequence[ChunkId]) -> AsyncIterator[Node]:
        """Read H-KV in batches, in the order of `ids`; leave out what can't be.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        for batch in _batches(ids, READ_BATCH):
            blobs = await self._blobs(batch, Level.HIGH)
            for node in await asyncio.to_thread(self._read_nodes, batch, blobs):
                yield node

    async def keys(self, chunks: Sequence[ChunkId]) -> AsyncIterator[list[ChunkKeys]]:
        """Read index keys, batch by batch, in the order of `chunks`, as `nodes` does.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        for batch in _batches(chunks, KEYS_BATCH):
            blobs = await self._blobs(batch, Level.KEYS)
            yield await asyncio.to_thread(self._read_keys, batch, blobs)

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
        waiting = set(self.spool.pending())
        for chunk in waiting.intersection(chunks):
            try:
                blobs = self.spool.read(chunk)
            except ChunkNotFoundError:
                continue
            except (CorruptChunkError, OSError) as exc:
                logger.warning("the spool can't give a chunk: %s", exc)
                continue
            if level in blobs:
                found[chunk] = blobs[level]
        return found

    async def _archived(
        self, chunks: Sequence[ChunkId], level: Level
    ) -> list[bytes | MemoryStoreError]:
        if self.outage.is_on:
            away = ArchiveUnavailableError("the archive is away")
            return [away for _ in chunks]
        if level is Level.LOW:
            blobs = await self.archive.get_many([(chunk, level) for chunk in chunks])
        else:
            blobs = await self.archive.get_small(chunks, level)
        for blob in blobs:
            if isinstance(blob, ArchiveUnavailableError):
                self.outage.begin(blob)
        return blobs

    def _read_nodes(
        self, ids: Sequence[ChunkId], blobs: Sequence[bytes | MemoryStoreError]
    ) -> list[Node]:
        return _read_all(
            lambda id, blob: decode_node(blob, id, self.model, self.device), ids, blobs
        )

    def _read_keys(
        self, chunks: Sequence[ChunkId], blobs: Sequence[bytes | MemoryStoreError]
    ) -> list[ChunkKeys]:
        return _read_all(
            lambda id, blob: decode_keys(blob, id, self.model, self.index),
            chunks,
            blobs,
        )


def _read_all(
    read: Callable[[ChunkId, bytes], T],
    ids: Sequence[ChunkId],
    blobs: Sequence[bytes | MemoryStoreError],
) -> list[T]:
    """Give what can be read; say what can't, unless the archive is away."""
    found = []
    for id, blob in zip(ids, blobs, strict=True):
        try:
            if isinstance(blob, MemoryStoreError):
                raise blob
            found.append(read(id, blob))
        except ArchiveUnavailableError:
            raise
        except MemoryStoreError as exc:
            logger.warning("left out of memory: %s", exc)
    return found


def _batches(ids: Sequence[ChunkId], size: int) -> Iterator[Sequence[ChunkId]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
