"""A recall plan carried out: the KV of each reading, or the next best."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory.chunk_reader import ChunkReader
from memory.errors import ArchiveUnavailableError, MemoryStoreError
from memory.kv import KV, ChunkId, Level, Node
from memory.recall import Reading
from memory.resident import ResidentMemory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Recollection:
    """What a question reads.

    Attributes:
        readings: The plan as it could be carried out, in time order within each camera.
        runs: KV of each reading, on the device.
        degraded: Why it is less than was planned: `archive_unavailable`,
            `chunk_fallback`.
        fallbacks: Chunks read as H-KV because their L-KV is missing or corrupt.
    """

    readings: tuple[Reading, ...]
    runs: tuple[KV, ...]
    degraded: frozenset[str]
    fallbacks: int


async def recollect(
    reader: ChunkReader,
    resident: ResidentMemory,
    plan: Sequence[Reading],
    nodes: Sequence[Node],
) -> Recollection:
    """Fetch the L-KV that a plan asks for, and fall back to H-KV.

    Args:
        reader: Reads L-KV.
        resident: Has that of the newest chunks.
        plan: Readings of some of the nodes.
        nodes: The candidates that were planned from.
    """
    wanted = [r.chunk for r in plan if r.level is Level.LOW]
    found: dict[ChunkId, KV] = {
        chunk: kv for chunk in wanted if (kv := resident.low(chunk)) is not None
    }
    missing = [chunk for chunk in wanted if chunk not in found]
    degraded, fallbacks = set(), 0
    lows = await reader.lows(missing)
    for chunk, low in zip(missing, lows, strict=True):
        if isinstance(low, ArchiveUnavailableError):
            degraded.add("archive_unavailable")
        elif isinstance(low, MemoryStoreError):
            logger.warning("reading H-KV instead of L-KV: %s", low)
            fallbacks += 1
            degraded.add("chunk_fallback")
        else:
            found[chunk] = low

    high = {node.id: node.high for node in nodes}
    readings = [r if r.chunk in found else replace(r, level=Level.HIGH) for r in plan]
    runs = [found.get(r.chunk, high[r.chunk]) for r in plan]
    return Recollection(tuple(readings), tuple(runs), frozenset(degraded), fallbacks)
