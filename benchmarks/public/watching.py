"""A video as the product watches it, up to any moment, and what a question then reads.

Frames come from the product's own camera and sampler, chunks from its chunker; each
chunk is prefilled once, against the sink and the H-KV of the chunks just before it,
compressed to both levels and archived. A chunk also ends where a question is asked, so
that everything before the question has been seen and nothing after it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from agent.vlm.generation import Reader, decode, decode_room
from agent.vlm.model import VisionLanguageModel
from benchmarks.opening import empty
from ingest.camera import read_frames
from ingest.chunker import chunk_frames
from ingest.frame import Frame
from ingest.settings import CameraSettings, Resume
from memory.kv import KV, ChunkId, ChunkMemory
from memory.recall import Candidate, RecallLimits, plan_recall
from memory.rehydration import compose
from memory.relevance import score_chunks
from memory.store import MemoryStore

CAMERA = "video"
_FROM_ZERO = Resume(began_s=0.0, from_s=0.0)  # the model is told the time in the video


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """How videos are watched and read.

    Attributes:
        fps: Sampled frames per second.
        chunk_frames: Frames in a full chunk.
        context_chunks: Chunks just before it that a chunk is prefilled against.
        context_tokens: Most KV tokens that a question reads as H-KV and L-KV mixed.
        newest: Newest chunks that a mix reads as L-KV whatever is asked.
        full_tokens: Most KV tokens for the contexts of everything, full or L-KV.
        top_k: Numbers of chunks re-loaded by relevance.
    """

    fps: float = 1.0
    chunk_frames: int = 8
    context_chunks: int = 1
    context_tokens: int = 16384
    newest: int = 1
    full_tokens: int = 65536
    top_k: tuple[int, ...] = (1, 2, 4)


@dataclass(frozen=True, slots=True, order=True)
class Context:
    """What a question may read.

    Attributes:
        name: `blind`, `full`, `l_only`, `h_only` or `bilevel`.
        k: Chunks re-loaded by relevance, 0 where that does not apply.
    """

    name: str
    k: int = 0


class Film:
    """The sampled frames of a video file, given out up to a time and no further."""

    def __init__(self, video: Path, settings: ViewSettings) -> None:
        camera = CameraSettings(
            name=CAMERA,
            address=str(video.resolve()),
            fps=settings.fps,
            chunk_frames=settings.chunk_frames,
            realtime=False,
        )
        self._frames = read_frames(camera, _FROM_ZERO)
        self._ahead = next(self._frames, None)

    def before(self, time_s: float) -> Iterator[Frame]:
        """Give the frames not given yet that were before a time in the video."""
        while self._ahead is not None and self._ahead.time_s < time_s:
            yield self._ahead
            self._ahead = next(self._frames, None)


class Viewer:
    """One model and one memory, which watch video after video."""

    def __init__(
        self, model: VisionLanguageModel, store: MemoryStore, settings: ViewSettings
    ) -> None:
        self.model, self.store, self.settings = model, store, settings
        self._sink = model.prefill_sink()

    async def open(self, video: Path) -> None:
        """Forget the video before, and begin another.

        Raises:
            CameraError: It can't be read.
        """
        await self.store.archive.forget(CAMERA, 1 << 52)
        empty(self.store, self.settings.newest)
        self._memories: list[ChunkMemory] = []
        self._film = await asyncio.to_thread(Film, video, self.settings)
        self._context: deque[KV] = deque(maxlen=self.settings.context_chunks)
        self._wholes: list[KV] | None = []
        self.num_chunks = 0

    async def watch_until(self, time_s: float = inf) -> None:
        """Remember every frame before a time in the video that is not remembered yet.

        Raises:
            CameraError: The video can't be read on.
        """
        frames, settings = self._film.before(time_s), self.settings
        for chunk in chunk_frames(CAMERA, frames, settings.chunk_frames, settings.fps):
            whole = self.model.prefill(chunk, [self._sink, *self._context])
            times = (round(chunk.start_s * 1000), round(chunk.end_s * 1000))
            compressed = self.store.bilevel.compress_chunk(
                ChunkId(CAMERA, *times), whole
            )
            await self.store.remember(compressed)
            self._memories.append(compressed.memory)
            self._context.append(compressed.memory.high)
            self.num_chunks += 1
            self._keep(whole.kv)

    def _keep(self, whole: KV) -> None:
        """Keep full KV as long as all of it fits."""
        if self._wholes is not None:
            self._wholes.append(whole)
            total = sum(kv.num_tokens for kv in self._wholes)
            if total > self.settings.full_tokens:
                self._wholes = None

    async def contexts(
        self, question: str
    ) -> AsyncIterator[tuple[Context, Sequence[KV]]]:
        """Give what a question reads in each context, those left out that don't fit."""
        yield Context("blind"), ()
        if self._wholes is not None:
            yield Context("full"), tuple(self._wholes)
        candidates = self._candidates(question)
        everything, room = len(candidates), self.settings.full_tokens
        if sum(c.low_tokens for c in candidates) <= room:
            limits = RecallLimits(0, everything, room)
            yield Context("l_only"), await self._recall(candidates, limits)
        room = self.settings.context_tokens
        limits = RecallLimits(0, 0, room)
        yield Context("h_only"), await self._recall(candidates, limits)
        for k in self.settings.top_k:
            limits = RecallLimits(k, self.settings.newest, room)
            yield Context("bilevel", k), await self._recall(candidates, limits)

    def say(self, prompt: str, runs: Sequence[KV], max_new_tokens: int) -> str:
        """Answer a prompt over what was read."""
        room = decode_room(self.model, prompt, max_new_tokens)
        cache = compose([self._sink, *runs], self.model.rotary, room=room)
        ids = list(decode(self.model, Reader(cache, prompt, max_new_tokens)))
        return str(self.model.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _candidates(self, question: str) -> list[Candidate]:
        if not self._memories:
            return []
        queries = self.model.question_queries(question, self._sink)
        scores = score_chunks(queries, self._memories, self.model.heads).tolist()
        return [
            Candidate(m.id, m.high.num_tokens, m.low_tokens, score)
            for m, score in zip(self._memories, scores, strict=True)
        ]

    async def _recall(
        self, candidates: Sequence[Candidate], limits: RecallLimits
    ) -> Sequence[KV]:
        plan = plan_recall(candidates, limits)
        nodes = self.store.resident.nodes([CAMERA])
        return (await self.store.recall(plan, nodes)).runs
