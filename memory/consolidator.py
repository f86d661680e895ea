"""Keeps resident H-KV under its budget: makes nodes, and archives them."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from memory.codec import Compression, encode_node
from memory.consolidation import consolidate
from memory.errors import MemoryStoreError
from memory.kv import ChunkId, Level, Node, Tier
from memory.outage import Outage
from memory.redis_archive import RedisArchive
from memory.resident import ResidentMemory

logger = logging.getLogger(__name__)

FACTORS: Mapping[Tier, float] = MappingProxyType(
    {Tier.MINUTE: 2.0, Tier.HOUR: 16.0, Tier.DAY: 8.0}
)
MOST_WAITING = 4096  # nodes for an archive that is away; the oldest are dropped


@dataclass(slots=True)
class Consolidator:
    """Consolidates old neighbours whenever there is no room for what is new.

    Attributes:
        archive: Where nodes are kept. One that never gets there is not lost: its
            children are there, and it is made again after a restart.
        outage: Whether the archive is away, and not to be asked.
        factors: Tokens in / tokens kept of each tier.
        numbers: What nodes are archived as (`memory.codec.NUMBERS`).
        num_made: Nodes made so far.
    """

    archive: RedisArchive
    outage: Outage
    factors: Mapping[Tier, float]
    numbers: str
    num_made: int = field(default=0, init=False)
    _waiting: deque[tuple[ChunkId, bytes]] = field(
        default_factory=lambda: deque(maxlen=MOST_WAITING), init=False
    )
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def make_room(self, resident: ResidentMemory, tokens: int) -> None:
        """Consolidate until so many tokens fit, or no neighbours are old enough."""
        async with self._turn:
            while not resident.has_room(tokens):
                group = resident.next_group()
                if not group:
                    return
                node, blob = await asyncio.to_thread(self._make, group)
                if resident.replace(group, node):
                    self._waiting.append((node.id, blob))
                    self.num_made += 1
            try:
                await self._archive()
            except MemoryStoreError as exc:
                logger.debug("nodes wait for the archive: %s", exc)

    async def forget(self, camera: str, before_ms: int) -> None:
        """Archive no node that has anything of a camera from before a moment."""
        async with self._turn:
            kept = [
                (node, blob)
                for node, blob in self._waiting
                if node.camera != camera or node.start_ms >= before_ms
            ]
            self._waiting.clear()
            self._waiting.extend(kept)

    async def archive_nodes(self) -> None:
        """Archive the nodes that wait, the oldest first.

        Raises:
            ArchiveUnavailableError: The archive does not answer; they go on waiting.
            ArchiveFullError: It takes no more; likewise.
        """
        async with self._turn:
            await self._archive()

    async def _archive(self) -> None:
        while self._waiting and not self.outage.is_on:
            node, blob = self._waiting[0]
            with self.outage.noticed():
                await self.archive.put(node, {Level.HIGH: blob})
            self._waiting.popleft()

    def _make(self, group: Sequence[Node]) -> tuple[Node, bytes]:
        node = consolidate(group, self.factors)
        made = Compression("key_distance", self.factors[node.id.tier], self.numbers)
        return node, encode_node(node, made, self.archive.model)
