"""The chunks that wait to be checked.

Bound: a few chunks of each camera. Policy: drop the oldest, counted; what is newest is
what an alert should be about. Cameras take turns.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from memory.kv import KV, ChunkId, Node

MAX_WAITING = 4  # of each camera
_NEAR_MS = 60_000  # what ended longer before a chunk is no context of it


@dataclass(frozen=True, slots=True, eq=False)
class NewChunk:
    """A chunk that was just remembered, with what is read to check it.

    Attributes:
        node: The chunk as it is resident.
        fine: Its L-KV.
        before: The chunks before it as they are resident, in time order.
    """

    node: Node
    fine: KV
    before: tuple[Node, ...]

    @property
    def id(self) -> ChunkId:
        """The chunk."""
        return self.node.id

    @property
    def end_s(self) -> float:
        """When it ends, UTC."""
        return self.id.end_ms / 1000


def chunks_before(
    nodes: Sequence[Node], chunk: ChunkId, count: int
) -> tuple[Node, ...]:
    """Give the chunks that a chunk is seen behind: the nearest ones, if they are near.

    Args:
        nodes: What is resident of its camera, in time order.
        chunk: The chunk.
        count: At most so many.
    """
    near = [
        node
        for node in nodes
        if node.id.is_chunk
        and chunk.start_ms - _NEAR_MS <= node.id.end_ms <= chunk.start_ms
    ]
    return tuple(near[-count:]) if count else ()


class Backlog:
    """Chunks of all cameras, the next one's first. Belongs to the event loop.

    Attributes:
        dropped: Chunks that gave way to newer ones.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._waiting: dict[str, deque[NewChunk]] = {}
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, chunk: NewChunk) -> None:
        """Have a chunk wait for its turn."""
        waiting = self._waiting.setdefault(chunk.id.camera, deque())
        if len(waiting) >= self._max_waiting:
            waiting.popleft()
            self.dropped += 1
        waiting.append(chunk)
        self._filled.set()

    async def next(self) -> NewChunk:
        """Wait for the next chunk."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        camera = next(iter(self._waiting))
        waiting = self._waiting.pop(camera)
        chunk = waiting.popleft()
        if waiting:
            self._waiting[camera] = waiting  # behind the other cameras
        return chunk
