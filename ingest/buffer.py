"""The queue between a camera and its consumer: bounded, with a policy when full."""

import asyncio
from collections import deque

from ingest.frame import FrameChunk
from ingest.settings import HandOff


class ChunkBuffer:
    """Chunks on their way to the one consumer, in order.

    Args:
        max_chunks: Bound.
        hand_off: What `put` does at the bound: lets the oldest go, or waits.
    """

    def __init__(self, max_chunks: int, hand_off: HandOff) -> None:
        self._max_chunks = max_chunks
        self._hand_off = hand_off
        self._chunks: deque[FrameChunk] = deque()
        self._changed = asyncio.Condition()
        self._closed = False

    async def put(self, chunk: FrameChunk) -> FrameChunk | None:
        """Add a chunk; give back the one dropped for it, if any."""
        async with self._changed:
            dropped = None
            if self._hand_off is HandOff.WAIT:
                await self._changed.wait_for(
                    lambda: len(self._chunks) < self._max_chunks
                )
            elif len(self._chunks) >= self._max_chunks:
                dropped = self._chunks.popleft()
            self._chunks.append(chunk)
            self._changed.notify_all()
            return dropped

    async def get(self) -> FrameChunk | None:
        """Take the oldest chunk, when there is one; None once closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._chunks or self._closed)
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._changed.notify_all()
            return chunk

    async def close(self) -> None:
        """Let no more come; what is there can still be taken."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
