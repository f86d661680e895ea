"""The top half: one camera's chunks, through the model, into memory."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.messages import to_iso
from agent.news import News
from agent.picture import picture_of
from agent.prefill_queue import Prefilled, PrefillQueue
from ingest.frame import FrameChunk
from ingest.source import CameraSource
from memory.compression.bilevel import CompressedChunk
from memory.kv import ChunkId
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

IN_FLIGHT = 2  # chunks between camera and archive; policy: wait

_InHand = tuple[FrameChunk, asyncio.Future[Prefilled]]


@dataclass(slots=True)
class WatchCounts:
    """What one camera's watch has done since it started."""

    chunks: int = 0
    tokens_in: int = 0
    tokens_left_out: int = 0
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

    Two tasks share it: `watch` has chunks prefilled and compressed, `archive` makes
    durable what comes of it, so that the model does not wait for the disk. When `watch`
    ends or is cancelled, `archive` finishes what is in hand and ends too.

    Attributes:
        source: The camera's chunks of frames.
        queue: The chunks of all cameras that wait for the model.
        store: The memory.
        context_chunks: Chunks before this one that a chunk sees, as H-KV.
        picture_side: Longer side of the picture that is kept of a chunk; 0: none is.
        news: Who is told of each chunk that is remembered.
        picture: The newest chunk's, a JPEG; None before the first.
        remembered: Called with each chunk that is.
    """

    source: CameraSource
    queue: PrefillQueue
    store: MemoryStore
    context_chunks: int
    picture_side: int = 0
    news: News = field(default_factory=News)
    picture: bytes | None = None
    remembered: Callable[[CompressedChunk], None] = lambda _: None
    counts: WatchCounts = field(default_factory=WatchCounts)
    _room: asyncio.Semaphore = field(init=False)
    _in_hand: asyncio.Queue[_InHand | None] = field(init=False)

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._in_hand = asyncio.Queue()  # bounded by `_room`

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.source.settings.name

    async def watch(self) -> None:
        """Have each chunk prefilled and compressed; ends when the camera does.

        The next chunk is queued while the model still has the one before it, so that
        the model never waits for the event loop. No chunk is taken from the camera
        before there is room for it: until then a newer one may take its place.
        """
        resident = self.store.resident.nodes([self.camera])
        newest = (node.high for node in resident if node.id.is_chunk)
        context = deque(newest, maxlen=self.context_chunks)
        try:
            await self._room.acquire()
            async for chunk in self.source:
                prefilled = self.queue.submit(chunk, context)
                self._in_hand.put_nowait((chunk, prefilled))
                await self._room.acquire()
        finally:
            self._in_hand.put_nowait(None)

    async def archive(self) -> None:
        """Remember what `watch` had prefilled, until that ends."""
        try:
            while (in_hand := await self._in_hand.get()) is not None:
                await self._finish(*in_hand)
                self._room.release()
        except asyncio.CancelledError:
            left = self._in_hand.qsize()
            logger.warning("camera %s: %d chunks or so are lost", self.camera, left)
            raise

    async def _finish(
        self, chunk: FrameChunk, prefilled: asyncio.Future[Prefilled]
    ) -> None:
        """Remember one chunk; one that can't be must not end the cameras."""
        try:
            picture = None
            if self.picture_side:
                side = self.picture_side
                picture = await asyncio.to_thread(picture_of, chunk.pixels, side)
            await self._remember(await prefilled, picture)
        except Exception as exc:  # noqa: BLE001 - one bad chunk: the watch goes on
            self.counts.lost += 1
            logger.warning("camera %s: a chunk is lost: %r", self.camera, exc)

    async def _remember(self, prefilled: Prefilled, picture: bytes | None) -> None:
        chunk, counts = prefilled.compressed, self.counts
        id = chunk.memory.id
        stored = await self.store.remember(chunk, picture)
        counts.chunks += 1
        counts.tokens_in += chunk.num_tokens
        counts.tokens_left_out += chunk.num_left_out
        counts.tokens_h += chunk.memory.high.num_tokens
        counts.tokens_l += chunk.low.num_tokens
        counts.bytes_h += stored.high_bytes
        counts.bytes_l += stored.low_bytes
        counts.spooled += stored.is_spooled
        counts.prefill_ms = prefilled.prefill_ms
        counts.last_chunk = id.name
        self.picture = picture
        self.news.tell("chunk", _told(id))
        self.remembered(chunk)
        logger.info(
            "remembered %s/%s",
            id.camera,
            id.name,
            extra={
                "tokens_in": chunk.num_tokens,
                "tokens_left_out": chunk.num_left_out,
                "tokens_h": chunk.memory.high.num_tokens,
                "tokens_l": chunk.low.num_tokens,
                "bytes_h": stored.high_bytes,
                "bytes_l": stored.low_bytes,
                "prefill_ms": round(counts.prefill_ms, 1),
            },
        )


def _told(id: ChunkId) -> dict[str, str]:
    """Give what is told of a chunk, ready for JSON."""
    start, end = to_iso(id.start_ms / 1000), to_iso(id.end_ms / 1000)
    return {"camera": id.camera, "chunk": id.name, "start": start, "end": end}
