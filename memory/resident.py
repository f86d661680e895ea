"""The H-KV of every chunk, on the device, under a token budget.

When the budget is passed the oldest chunks leave; they stay in the archive. Beside the
H-KV, the L-KV of each camera's newest chunks is kept, so that a question about now
needs no archive.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Sequence
from operator import attrgetter

from memory.compression.bilevel import CompressedChunk
from memory.kv import KV, ChunkId, ChunkMemory

_by_id = attrgetter("id")


class ResidentMemory:
    """All cameras' resident chunks. Belongs to the event loop; hands out snapshots."""

    def __init__(self, budget_tokens: int, newest: int) -> None:
        self._budget_tokens = budget_tokens
        self._newest = newest
        self._chunks: dict[str, list[ChunkMemory]] = {}
        self._fine: dict[str, OrderedDict[ChunkId, KV]] = {}
        self.num_tokens = 0
        self.num_evicted = 0

    def retain(self, chunk: CompressedChunk) -> None:
        """Keep a chunk just remembered, and its L-KV while it is among the newest."""
        self.insert(chunk.memory)
        fine = self._fine.setdefault(chunk.memory.id.camera, OrderedDict())
        fine[chunk.memory.id] = chunk.low
        while len(fine) > self._newest:
            fine.popitem(last=False)

    def insert(self, memory: ChunkMemory) -> None:
        """Keep a chunk's H-KV, in its place in time; known chunks are left alone.

        The oldest chunks of all cameras are evicted while the budget is passed.
        """
        chunks = self._chunks.setdefault(memory.id.camera, [])
        at = bisect_left(chunks, memory.id, key=_by_id)
        if at < len(chunks) and chunks[at].id == memory.id:
            return
        insort(chunks, memory, key=_by_id)
        self.num_tokens += memory.high.num_tokens
        while self.num_tokens > self._budget_tokens:
            self._evict_oldest()

    def has_room(self, tokens: int) -> bool:
        """Tell whether a chunk of so many tokens fits without evicting another."""
        return self.num_tokens + tokens <= self._budget_tokens

    def chunks(
        self,
        cameras: Sequence[str],
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[ChunkMemory, ...]:
        """Give a snapshot of a window: camera after camera, in time order."""
        return tuple(
            memory
            for camera in cameras
            for memory in self._chunks.get(camera, ())
            if (start_ms is None or memory.id.end_ms > start_ms)
            and (end_ms is None or memory.id.start_ms < end_ms)
        )

    def low(self, chunk: ChunkId) -> KV | None:
        """Give a newest chunk's L-KV, None for an older one."""
        return self._fine.get(chunk.camera, OrderedDict()).get(chunk)

    def forget(self, camera: str, before_ms: int) -> None:
        """Drop a camera's chunks that ended before a moment."""
        chunks = self._chunks.get(camera, [])
        kept = [memory for memory in chunks if memory.id.end_ms > before_ms]
        dropped = sum(m.high.num_tokens for m in chunks if m.id.end_ms <= before_ms)
        self._chunks[camera] = kept
        self.num_tokens -= dropped
        fine = self._fine.get(camera, OrderedDict())
        for chunk in [c for c in fine if c.end_ms <= before_ms]:
            del fine[chunk]

    def _evict_oldest(self) -> None:
        oldest = min(
            (chunks for chunks in self._chunks.values() if chunks),
            key=lambda chunks: chunks[0].id.start_ms,
        )
        memory = oldest.pop(0)
        self._fine.get(memory.id.camera, OrderedDict()).pop(memory.id, None)
        self.num_tokens -= memory.high.num_tokens
        self.num_evicted += 1
