"""Chunks of several cameras that wait for the model go through it together.

Sixteen cameras' chunks side by side cost a GPU little more than one. A batch holds at
most one chunk of a camera, since the next one may have to see it, and only chunks that
fit side by side: as many frames, a context of as many tokens.
"""

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.vlm.model import VisionLanguageModel
from agent.worker import ModelThread, Priority
from ingest.frame import FrameChunk
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.kv import KV, ChunkId


@dataclass(frozen=True, slots=True, eq=False)
class Prefilled:
    """One chunk after its prefill.

    Attributes:
        compressed: Both its levels.
        prefill_ms: Its share of the time that its batch took.
    """

    compressed: CompressedChunk
    prefill_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A chunk in the queue; its context is read when its turn comes."""

    chunk: FrameChunk
    context: deque[KV]
    visual_tokens: int
    future: asyncio.Future[Prefilled]

    @property
    def fits(self) -> tuple[int, int]:
        """What must be alike side by side: frames, and tokens of the context."""
        return len(self.chunk.pixels), sum(run.num_tokens for run in self.context)


@dataclass(slots=True)
class PrefillQueue:
    """The chunks that wait, in front of the thread that owns the model.

    Attributes:
        thread: That thread.
        model: The model.
        sink: KV of the tokens before the first chunk.
        bilevel: How chunks are compressed.
        max_tokens: Most visual tokens of a batch, before any are left out; a chunk that
            has more goes alone.
        least_change: Of each camera, the change below which a visual token is left
            out; of one that is not named, none are.
    """

    thread: ModelThread
    model: VisionLanguageModel
    sink: KV
    bilevel: BiLevel
    max_tokens: int
    least_change: Mapping[str, float]
    _waiting: deque[_Waiting] = field(default_factory=deque)  # bounded by its callers
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(
        self, chunk: FrameChunk, context: deque[KV]
    ) -> asyncio.Future[Prefilled]:
        """Queue a chunk; its H-KV is appended to `context` once it is there.

        Args:
            chunk: The frames.
            context: H-KV of the camera's chunks before it, touched by the model's
                thread only.

        Raises:
            queue.Full: Too many jobs wait for the model.
        """
        future: asyncio.Future[Prefilled] = asyncio.get_running_loop().create_future()
        visual_tokens = self.model.num_visual_tokens(chunk)
        waiting = _Waiting(chunk, context, visual_tokens, future)
        with self._lock:
            self.thread.submit(Priority.CHUNK, self._run_next)
            self._waiting.append(waiting)
        return future

    def _run_next(self) -> None:
        """Run the next batch, if one before it has not taken all; on the thread."""
        if batch := self._take():
            self._run(batch)

    def _take(self) -> list[_Waiting]:
        """Take the chunks that go next, the one that waits longest first."""
        batch: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        cameras: set[str] = set()
        with self._lock:
            for waiting in self._waiting:
                if waiting.future.cancelled():
                    continue
                is_first_of_camera = waiting.chunk.camera not in cameras
                cameras.add(waiting.chunk.camera)
                if is_first_of_camera and self._has_room(batch, waiting):
                    batch.append(waiting)
                else:
                    left.append(waiting)
            self._waiting = left
        return batch

    def _has_room(self, batch: Sequence[_Waiting], more: _Waiting) -> bool:
        if not batch:
            return True
        tokens = sum(waiting.visual_tokens for waiting in (*batch, more))
        return tokens <= self.max_tokens and more.fits == batch[0].fits

    def _run(self, batch: Sequence[_Waiting]) -> None:
        """Run a batch; if it fails, each of its chunks alone, to spare the others."""
        outcome = self._try(batch)
        if isinstance(outcome, list):
            for waiting, prefilled in zip(batch, outcome, strict=True):
                _settle(waiting.future, prefilled)
        elif len(batch) == 1:
            _settle(batch[0].future, outcome)
        else:
            for waiting in batch:
                self._run([waiting])

    def _try(self, batch: Sequence[_Waiting]) -> list[Prefilled] | Exception:
        """Run a batch; give what came of it, or why nothing did."""
        try:
            return self._see(batch)
        except Exception as exc:  # noqa: BLE001 - whoever awaits a chunk is told of it
            # The frames hold tensors, which should be gone before another try.
            traceback.clear_frames(exc.__traceback__)
            return exc

    def _see(self, batch: Sequence[_Waiting]) -> list[Prefilled]:
        started = time.monotonic()
        wholes = self.model.prefill_batch(
            [waiting.chunk for waiting in batch],
            [[self.sink, *waiting.context] for waiting in batch],
            [self.least_change.get(waiting.chunk.camera, 0.0) for waiting in batch],
        )
        compressed = [
            self.bilevel.compress_chunk(_id_of(waiting.chunk), whole)
            for waiting, whole in zip(batch, wholes, strict=True)
        ]
        share_ms = (time.monotonic() - started) * 1000 / len(batch)
        for waiting, chunk in zip(batch, compressed, strict=True):
            waiting.context.append(chunk.memory.high)
        return [Prefilled(chunk, share_ms) for chunk in compressed]


def _id_of(chunk: FrameChunk) -> ChunkId:
    return ChunkId(chunk.camera, round(chunk.start_s * 1000), round(chunk.end_s * 1000))


def _settle(future: asyncio.Future[Prefilled], outcome: Prefilled | Exception) -> None:
    """Give a future its outcome, from the model's thread."""

    def settle() -> None:
        if future.cancelled():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    future.get_loop().call_soon_threadsafe(settle)
