"""The top half: one camera's chunks, through the model, into memory."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from ingest.frame import FrameChunk
from ingest.source import CameraSource
from memory.compression.bilevel import CompressedChunk
from memory.errors import MemoryStoreError
from memory.kv import KV, ChunkId
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

QUEUE_BOUND = 2  # chunks on their way to the archive; policy: wait
FLUSH_TIMEOUT_S = 5.0


@dataclass(slots=True)
class WatchCounts:
    """What one camera's watch has done since it started."""

    chunks: int = 0
    tokens_in: int = 0
    tokens_h: int = 0
    tokens_l: int = 0
    bytes_h: int = 0
    bytes_l: int = 0
    spooled: int = 0
    lost: int = 0
    prefill_ms: float = 0.0
    last_chunk: str = ""


@dataclass(slots=True)
class Watcher:
    """Watches one camera.

    Two tasks share it: `watch` prefills and compresses, `archive` makes durable what it
    gave, so that the model does not wait for the disk.

    Attributes:
        source: The camera's chunks of frames.
        model: The model.
        sink: KV of the tokens before the first chunk.
        thread: The thread that owns the model.
        store: The memory.
        context_chunks: Chunks before this one that a chunk sees, as H-KV.
    """

    source: CameraSource
    model: VisionLanguageModel
    sink: KV
    thread: ModelThread
    store: MemoryStore
    context_chunks: int
    counts: WatchCounts = field(default_factory=WatchCounts)
    _queue: asyncio.Queue[asyncio.Future[CompressedChunk] | None] = field(init=False)

    def __post_init__(self) -> None:
        self._queue = asyncio.Queue(QUEUE_BOUND)

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.source.settings.name

    async def watch(self) -> None:
        """Have each chunk prefilled and compressed; ends when the camera does.

        The next chunk is queued while the model still has the one before it, so that
        the model never waits for the event loop.
        """
        resident = self.store.resident.chunks([self.camera])
        context = deque((m.high for m in resident), maxlen=self.context_chunks)
        async for chunk in self.source:
            job = partial(self._see, chunk, context)
            await self._queue.put(self.thread.submit(Priority.CHUNK, job))
        await self._queue.put(None)

    async def archive(self) -> None:
        """Remember what `watch` prefilled; on the way out, finish what is in hand."""
        try:
            while (prefilled := await self._queue.get()) is not None:
                await self._finish(prefilled)
        finally:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                while not self._queue.empty():
                    if (prefilled := self._queue.get_nowait()) is not None:
                        await self._finish(prefilled)

    async def _finish(self, prefilled: asyncio.Future[CompressedChunk]) -> None:
        try:
            chunk = await prefilled
        except (RuntimeError, ValueError) as exc:  # out of memory; odd frames
            self.counts.lost += 1
            logger.warning("camera %s: a chunk is lost: %r", self.camera, exc)
        else:
            await self._remember(chunk)

    def _see(self, chunk: FrameChunk, context: deque[KV]) -> CompressedChunk:
        """Prefill and compress one chunk; runs on the model thread, like all before."""
        started = time.monotonic()
        id = ChunkId(
            chunk.camera, round(chunk.start_s * 1000), round(chunk.end_s * 1000)
        )
        compressed = self.store.bilevel.compress_chunk(
            id, self.model.prefill(chunk, [self.sink, *context])
        )
        context.append(compressed.memory.high)
        self.counts.prefill_ms = (time.monotonic() - started) * 1000
        return compressed

    async def _remember(self, chunk: CompressedChunk) -> None:
        id, counts = chunk.memory.id, self.counts
        try:
            stored = await self.store.remember(chunk)
        except (OSError, MemoryStoreError) as exc:
            counts.lost += 1
            logger.warning("chunk %s/%s is lost: %s", id.camera, id.name, exc)
            return
        counts.chunks += 1
        counts.tokens_in += chunk.num_tokens
        counts.tokens_h += chunk.memory.high.num_tokens
        counts.tokens_l += chunk.low.num_tokens
        counts.bytes_h += stored.high_bytes
        counts.bytes_l += stored.low_bytes
        counts.spooled += stored.is_spooled
        counts.last_chunk = id.name
        logger.info(
            "remembered %s/%s",
            id.camera,
            id.name,
            extra={
                "tokens_in": chunk.num_tokens,
                "tokens_h": chunk.memory.high.num_tokens,
                "tokens_l": chunk.low.num_tokens,
                "bytes_h": stored.high_bytes,
                "bytes_l": stored.low_bytes,
                "prefill_ms": round(counts.prefill_ms, 1),
            },
        )
