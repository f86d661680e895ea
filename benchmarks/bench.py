"""One stream through the product's own path, and every question in every context.

Chunks are prefilled, compressed and archived in a real Valkey; a question is scored,
recalled, re-hydrated and decoded as the agent does it. What does not depend on the
question is composed once per stream: the same cache, asked again and again.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.vlm.generation import Reader, decode, decode_room, text_of
from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import (
    CHOSEN,
    NEWEST,
    TOP_K,
    Asked,
    Label,
    Setup,
    Stream,
    fixed,
    holders_of,
    is_recalled,
    score,
)
from benchmarks.opening import empty, read_memories
from benchmarks.rekv import Frames, all_queries
from benchmarks.rows import StreamRun, Trial
from benchmarks.streams import Take, age_of
from ingest.simulation.questions import Question
from memory.kv import KV, ChunkId, ChunkMemory
from memory.rehydration import MixedCache, compose
from memory.store import MemoryStore

MAX_NEW_TOKENS = 8
CAMERA = "bench"


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """A context ready to be asked.

    Attributes:
        label: Its name.
        cache: Composed; each question gets a view of it of its own.
        tokens: KV tokens in it, sink left out.
        spent_ms: What finding and composing it took.
        is_recalled: Whether a chunk that it re-loads holds the answer, None if it
            re-loads none or no chunk holds it.
    """

    label: Label
    cache: MixedCache
    tokens: int
    spent_ms: float
    is_recalled: bool | None = None


class Bench:
    """One model and one memory, asked about stream after stream."""

    def __init__(
        self,
        model: VisionLanguageModel,
        store: MemoryStore,
        setup: Setup,
        wanted: frozenset[str],
    ) -> None:
        self.model, self.store, self.setup = model, store, setup
        self.wanted = wanted
        self.sink = model.prefill_sink()

    async def run(self, take: Take, questions: Sequence[Question]) -> StreamRun:
        """Watch a stretch of a world, then ask every question in every context."""
        stream, num_bytes = await self._watch(take)
        asked = [
            Asked(q.text, *self._score(stream, q), holders_of(q, stream.memories))
            for q in questions
        ]
        trials = self._ask_fixed(stream, take, questions)
        for question, about in zip(questions, asked, strict=True):
            trials += await self._ask_chosen(stream, take, question, about)
        if "rekv" in self.wanted:
            trials += self._ask_rekv(stream, take, questions)
        await self.store.archive.forget(CAMERA, 1 << 52)
        return StreamRun(take.world.seed, take.chunks, *num_bytes, tuple(trials))

    async def _watch(self, take: Take) -> tuple[Stream, tuple[int, int]]:
        """Remember a stretch; give it, and the bytes of its index and its archive."""
        empty(self.store, NEWEST)
        wholes, index_bytes, archive_bytes = [], 0, 0
        ids: list[ChunkId] = []
        context = deque[KV](maxlen=self.setup.context_chunks)
        for frames in take.film():
            seen, least = [self.sink, *context], self.setup.least_change
            whole = self.model.prefill(frames, seen, least)
            times = (round(frames.start_s * 1000), round(frames.end_s * 1000))
            chunk = self.store.bilevel.compress_chunk(ChunkId(CAMERA, *times), whole)
            stored = await self.store.remember(chunk)
            archive_bytes += stored.high_bytes + stored.low_bytes
            index_bytes += chunk.memory.index_keys.nbytes
            context.append(chunk.memory.high)
            wholes.append(whole)
            ids.append(chunk.memory.id)
        memories = await self._read_back(ids)
        seed = take.world.seed
        stream = Stream(self.model, self.sink, wholes, memories, seed, self.setup)
        return stream, (index_bytes, archive_bytes)

    async def _read_back(self, ids: Sequence[ChunkId]) -> list[ChunkMemory]:
        """Have the memory that is asked be the archived one, as after a restart."""
        empty(self.store, NEWEST)
        return await read_memories(self.store, ids)

    def _score(
        self, stream: Stream, question: Question
    ) -> tuple[Sequence[float], float]:
        if not self.wanted & CHOSEN.keys():
            return [0.0] * len(stream.memories), 0.0
        began = time.perf_counter()
        scores = score(stream, question.text)
        return scores, (time.perf_counter() - began) * 1000

    def _ask_fixed(
        self, stream: Stream, take: Take, questions: Sequence[Question]
    ) -> list[Trial]:
        texts = {question.text for question in questions}
        room = max((self._room(text) for text in texts), default=0)
        trials = []
        for label, make in fixed(stream).items():
            if label.context in self.wanted:
                runs = make()
                context = self._compose(label, runs, room, time.perf_counter())
                trials += [self._trial(context, take, q) for q in questions]
        return trials

    async def _ask_chosen(
        self, stream: Stream, take: Take, question: Question, asked: Asked
    ) -> list[Trial]:
        trials = []
        high, low = self.setup.high.factor, self.setup.low.factor
        for name in sorted(self.wanted & CHOSEN.keys()):
            for k in TOP_K:
                began = time.perf_counter()
                readings = CHOSEN[name](stream, asked, k)
                recalled = await self.store.recall(readings, stream.nodes)
                label, room = Label(name, high, low, k), self._room(question.text)
                context = self._compose(label, recalled.runs, room, began)
                scoring_ms = asked.scored_ms if name == "bilevel" else 0.0
                context = replace(
                    context,
                    spent_ms=context.spent_ms + scoring_ms,
                    is_recalled=is_recalled(stream, asked, readings),
                )
                trials.append(self._trial(context, take, question))
        return trials

    def _ask_rekv(
        self, stream: Stream, take: Take, questions: Sequence[Question]
    ) -> Iterator[Trial]:
        frames, label = Frames.of(stream), Label("rekv", 0, 1, max(TOP_K))
        for question in questions:
            began = time.perf_counter()
            queries = all_queries(self.model, question.text, self.sink)
            runs = frames.read(queries, stream.mix_tokens(label.k))
            context = self._compose(label, runs, self._room(question.text), began)
            yield self._trial(context, take, question)

    def _room(self, text: str) -> int:
        return decode_room(self.model, text, MAX_NEW_TOKENS)

    def _compose(
        self, label: Label, runs: Sequence[KV], room: int, began: float
    ) -> Context:
        cache = compose([self.sink, *runs], self.model.rotary, room=room)
        tokens = sum(run.num_tokens for run in runs)
        return Context(label, cache, tokens, (time.perf_counter() - began) * 1000)

    def _trial(self, context: Context, take: Take, question: Question) -> Trial:
        began = time.perf_counter()
        cache = replace(context.cache)  # its end is its own, its tensors are shared
        ids, first_ms = [], 0.0
        reader = Reader(cache, question.text, MAX_NEW_TOKENS)
        for token in decode(self.model, reader):
            first_ms = first_ms or (time.perf_counter() - began) * 1000
            ids.append(token)
        return Trial(
            context.label,
            question.type.value,
            age_of(question, take),
            is_right=question.is_right(text_of(self.model, ids)),
            is_recalled=context.is_recalled,
            tokens=context.tokens,
            first_token_ms=context.spent_ms + first_ms,
        )
