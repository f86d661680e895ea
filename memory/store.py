"""Memory as the agent sees it: remember a chunk, recall what a question needs, forget.

One facade over the resident H-KV, the index, the archive and the spool. A chunk counts
as remembered once it is durable: in the archive, or in the spool on disk while the
archive is away.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from memory.archive_upkeep import retire
from memory.chunk_reader import ChunkReader, Times
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.consolidator import FACTORS, Consolidator
from memory.descent import Reach, descend, reach
from memory.errors import (
    ArchiveFullError,
    ArchiveUnavailableError,
    MemoryStoreError,
)
from memory.index import ChunkIndex
from memory.kv import ChunkId, Node, Tier
from memory.outage import Outage
from memory.rebuilding import Loader, Loading
from memory.recall import Reading
from memory.recollection import Recollection, recollect
from memory.redis_archive import RedisArchive
from memory.relevant import Relevance, judge
from memory.replay import replay
from memory.resident import ResidentMemory
from memory.retention import Freed, Limits
from memory.spool import Spool
from memory.watch import Span, WatchedTimes
from memory.witnesses import Witnesses
from memory.writing import Stored, write_chunk

logger = logging.getLogger(__name__)

REPLAY_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was watched in a time.

    Attributes:
        spans: The spans without a gap, in time order.
        is_whole: False if there may be more: memory is not loaded yet, or lost.
    """

    spans: tuple[Span, ...]
    is_whole: bool


@dataclass(slots=True)
class MemoryStore:
    """The memory of all cameras.

    Attributes:
        archive: Where all that is remembered is kept.
        spool: Where chunks wait while the archive is away.
        resident: H-KV on the device.
        index: What chunks are found by.
        bilevel: How chunks are compressed.
        model: Fingerprint of the model whose KV this is.
        device: Where KV is read.
        factors: Tokens in / tokens kept when H-KV is consolidated.
        fallbacks: Chunks read as H-KV so far because their L-KV was missing or corrupt.
        loading: How far what was remembered before a restart is loaded.
        outage: Whether the archive is away.
        consolidator: Keeps `resident` under its budget.
    """

    archive: RedisArchive
    spool: Spool
    resident: ResidentMemory
    index: ChunkIndex
    bilevel: BiLevel
    model: str
    device: torch.device
    factors: Mapping[Tier, float] = field(default_factory=lambda: FACTORS)
    fallbacks: int = field(default=0, init=False)
    loading: Loading = field(default_factory=Loading, init=False)
    outage: Outage = field(default_factory=Outage, init=False)
    consolidator: Consolidator = field(init=False)
    _times: WatchedTimes = field(default_factory=WatchedTimes, init=False)
    _witnesses: Witnesses = field(default_factory=Witnesses, init=False)

    def __post_init__(self) -> None:
        numbers = self.bilevel.high.numbers
        self.consolidator = Consolidator(
            self.archive, self.outage, self.factors, numbers
        )

    async def remember(
        self, chunk: CompressedChunk, picture: bytes | None = None
    ) -> Stored:
        """Make a chunk durable, with a JPEG of it if there is one, then resident.

        Raises:
            ArchiveFullError: The archive doesn't take it, and the spool has no room for
                it or can't be written.
        """
        id = chunk.memory.id
        blobs, keys = await asyncio.to_thread(
            write_chunk, chunk, self.bilevel, self.model, picture
        )
        is_spooled = False
        try:
            with self.outage.noticed():
                await self.archive.put(id, blobs)
            self._witnesses.saw(id)
        except (ArchiveUnavailableError, ArchiveFullError) as exc:
            logger.warning("%s/%s goes to the spool: %s", id.camera, id.name, exc)
            await asyncio.to_thread(self.spool.append, id, blobs)
            is_spooled = True
        tokens = chunk.memory.high.num_tokens
        await self.consolidator.make_room(self.resident, tokens)
        self.resident.retain(chunk)
        self.index.add([keys])
        self._times.add(id)
        return Stored.of(blobs, is_spooled=is_spooled)

    async def relevance(
        self,
        queries: Tensor,
        cameras: Sequence[str],
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Relevance:
        """Judge all chunks of cameras that overlap [start_ms, end_ms).

        Those of the short list whose fine keys can't be read are judged by their marks
        alone.

        Args:
            queries: Pre-RoPE queries of the question's tokens in the index heads,
                (Q', T, D).
            cameras: Of which.
            start_ms: UTC in milliseconds; None is without end, as is `end_ms`.
            end_ms: Likewise.
        """
        window = self.index.window(cameras, start_ms, end_ms)
        return await judge(self.reader, window, queries.cpu(), self.bilevel.heads)

    async def reach(
        self, cameras: Sequence[str], times: Times, max_tokens: int
    ) -> Reach:
        """Give the nodes that stand for a time: resident ones, finer as far as fits.

        Without a time that is what is resident.

        Args:
            cameras: Of which.
            times: Start and end, UTC in milliseconds; None is without end.
            max_tokens: Most H-KV tokens to read; the newest get it first.
        """
        nodes = self.resident.nodes(cameras, *times)
        if nodes and times == (None, None):
            return Reach(nodes, is_whole=True)
        missing, is_whole = set[ChunkId](), True
        for camera in cameras:
            before = self._before_resident(camera, times)
            if before is not None:
                chunks, is_asked = await self.reader.stored(camera, before)
                missing, is_whole = missing | chunks, is_whole and is_asked
        held = {node.id for node in nodes}
        missing = {chunk for chunk in missing if chunk not in held}
        found = await reach(self.reader, nodes, missing, times, max_tokens)
        return replace(found, is_whole=is_whole and found.is_whole)

    async def descend(self, nodes: Sequence[Node], chunks: Sequence[ChunkId]) -> Reach:
        """Open nodes down to some chunks, which then stand beside what is left of them.

        Args:
            nodes: As `reach` gave them.
            chunks: Those that are wanted, in any of them or in none.
        """
        return await descend(self.reader, nodes, chunks)

    async def recall(
        self, plan: Sequence[Reading], nodes: Sequence[Node]
    ) -> Recollection:
        """Carry out a recall plan: fetch the L-KV it asks for, fall back to H-KV.

        Args:
            plan: Readings of some of the nodes.
            nodes: The candidates that were planned from.
        """
        recalled = await recollect(self.reader, self.resident, plan, nodes)
        self.fallbacks += recalled.fallbacks
        return recalled

    def watched(
        self, camera: str, start_ms: int | None = None, end_ms: int | None = None
    ) -> Watched:
        """Give the times in a window from which anything is remembered."""
        is_lost = self._witnesses.is_lost(camera, start_ms)
        return Watched(
            spans=self._times.within(camera, start_ms, end_ms),
            is_whole=self.loading.is_listed and not is_lost,
        )

    async def forget(self, camera: str, before_ms: int) -> Freed:
        """Forget a camera's chunks that ended before a moment.

        Gives back what went from the archive.

        Raises:
            ArchiveUnavailableError: The archive does not answer; ask again later.
        """
        await self._forget_here(camera, before_ms)
        for chunk in await asyncio.to_thread(self.spool.pending):
            if chunk.camera == camera and chunk.end_ms <= before_ms:
                await asyncio.to_thread(self.spool.remove, chunk)
        return await self.archive.forget(camera, before_ms)

    async def retire(self, cameras: Sequence[str], limits: Limits) -> Freed:
        """Have the archive give up what is over its limits, raising as `forget`."""
        done = await retire(self.archive, cameras, limits)
        own = (b for b in done.chunks if b.chunk.is_chunk and b.model == self.model)
        newest = {each.chunk.camera: each.end_ms for each in sorted(own)}
        for camera, end_ms in newest.items():
            await self._forget_here(camera, end_ms)
        return done.freed

    async def rebuild(self, cameras: Sequence[str]) -> Loading:
        """Load what was remembered before a restart, the newest first; reads no L-KV.

        What is loaded is answered from while the rest comes.

        Raises:
            ArchiveUnavailableError: The archive does not answer.
        """
        self.loading = Loading(is_listed=False, is_done=False)
        listed = {}
        for camera in cameras:
            chunks, is_asked = await self.reader.stored(camera, (None, None))
            self._times.add_all(camera, chunks)
            if is_asked:
                listed[camera] = (chunks, await self.archive.nodes(camera))
        if len(listed) < len(cameras):
            raise ArchiveUnavailableError("the archive is away")
        self.loading.is_listed = True
        loader = Loader(self.reader, self.resident, self.index, self.consolidator)
        await loader.load(listed, self.loading)
        return self.loading

    async def replay_spool(self) -> None:
        """Carry what waits into the archive whenever it answers; runs for ever.

        This is the one who asks an archive that is away whether it is back.
        """
        while True:
            try:
                await replay(self.spool, self.archive, self.outage, self._witnesses)
                await self.consolidator.archive_nodes()
            except (MemoryStoreError, OSError) as exc:
                logger.debug("the spool waits: %s", exc)
            await asyncio.sleep(REPLAY_INTERVAL_S)

    async def _forget_here(self, camera: str, before_ms: int) -> None:
        await self.consolidator.forget(camera, before_ms)
        self.resident.forget(camera, before_ms)
        self.index.forget(camera, before_ms)
        self._times.forget(camera, before_ms)
        self._witnesses.forget(camera, before_ms)

    def _before_resident(self, camera: str, times: Times) -> Times | None:
        """Give the part of a time that is before all that is resident, if watched."""
        start_ms, end_ms = times
        nodes = self.resident.nodes([camera])
        if nodes:
            oldest_ms = nodes[0].id.start_ms
            end_ms = oldest_ms if end_ms is None else min(end_ms, oldest_ms)
        if self.loading.is_listed and not self._times.within(camera, start_ms, end_ms):
            return None
        return start_ms, end_ms

    @property
    def reader(self) -> ChunkReader:
        """What reads what is stored."""
        return ChunkReader(
            self.archive,
            self.spool,
            self.outage,
            self.model,
            self.bilevel.heads.index_name,
            self.device,
        )
