"""Chunks of several cameras that wait for the model go through it together.

A batch holds at most one chunk of a camera, since the next one may have to see it, and
only chunks of as many frames.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.batch_queue import BatchQueue
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
class _Job:
    """A chunk in the queue; its context is read when its turn comes."""

    chunk: FrameChunk
    context: deque[KV]
    visual_tokens: int


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
    _queue: BatchQueue[_Job, Prefilled] = field(init=False)

    def __post_init__(self) -> None:
        self._queue = BatchQueue(self.thread, Priority.CHUNK, self._see, self._joins)

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
        visual_tokens = self.model.num_visual_tokens(chunk)
        return self._queue.submit(_Job(chunk, context, visual_tokens))

    def _joins(self, job: _Job, taken: Sequence[_Job], ahead: Sequence[_Job]) -> bool:
        """Tell whether a chunk fits a batch, and none of its camera is before it."""
        cameras = {other.chunk.camera for other in (*taken, *ahead)}
        tokens = sum(other.visual_tokens for other in (*taken, job))
        return (
            job.chunk.camera not in cameras
            and tokens <= self.max_tokens
            and len(job.chunk.pixels) == len(taken[0].chunk.pixels)
        )

    def _see(self, batch: Sequence[_Job]) -> Iterator[tuple[int, Prefilled]]:
        started = time.monotonic()
        wholes = self.model.prefill_batch(
            [job.chunk for job in batch],
            [[self.sink, *job.context] for job in batch],
            [self.least_change.get(job.chunk.camera, 0.0) for job in batch],
        )
        compressed = [
            self.bilevel.compress_chunk(_id_of(job.chunk), whole)
            for job, whole in zip(batch, wholes, strict=True)
        ]
        share_ms = (time.monotonic() - started) * 1000 / len(batch)
        for number, chunk in enumerate(compressed):
            batch[number].context.append(chunk.memory.high)
            yield number, Prefilled(chunk, share_ms)


def _id_of(chunk: FrameChunk) -> ChunkId:
    return ChunkId(chunk.camera, round(chunk.start_s * 1000), round(chunk.end_s * 1000))
