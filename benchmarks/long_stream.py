"""Thirty days of one camera, in minutes: a first hour to ask about, then much else.

The first hour is a simulated world. What comes after it is drawn, again and again, from
a pool of chunks of other worlds, prefilled once; the plates that are asked about are in
none of them. So there is one right place to look, however long the stream gets. A chunk
stands for ten seconds; the time that is written in its KV is that of its world.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from agent.vlm.model import VisionLanguageModel
from benchmarks.contexts import holders_of
from benchmarks.streams import questions_on, take_of
from ingest.frame import FrameChunk
from ingest.simulation.questions import Question, QuestionType
from ingest.simulation.world import World
from memory.compression.bilevel import BiLevel, CompressedChunk
from memory.kv import KV, ChunkId
from memory.relevance import IndexHeads, best_keys, detrend, sharpness
from training.evaluate import film_world
from training.split import Split, start_of

CAMERA = "bench"
CHUNK_MS = 10_000
HOUR_CHUNKS = 360
START_MS = 1_790_000_000_000
ASKED = (QuestionType.COLOUR, QuestionType.KIND, QuestionType.SIDE)
_POOL_CHUNKS = 64  # of each world in the pool


def id_of(number: int) -> ChunkId:
    """Name a chunk of the stream."""
    start_ms = START_MS + number * CHUNK_MS
    return ChunkId(CAMERA, start_ms, start_ms + CHUNK_MS)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question about the first hour, and the chunks that hold its answer."""

    question: Question
    holders: frozenset[ChunkId]


@dataclass(frozen=True, slots=True, eq=False)
class LongStream:
    """What is remembered, and what is asked.

    Attributes:
        first: The first hour's chunks.
        pool: What all others are drawn from.
        drawn: Which of the pool each later chunk is, (C,), int64.
        asked: The questions.
    """

    first: Sequence[CompressedChunk]
    pool: Sequence[CompressedChunk]
    drawn: Tensor
    asked: Sequence[Asked]

    def chunks(self, start: int, end: int) -> Iterator[CompressedChunk]:
        """Give chunks of the stream."""
        for number in range(start, end):
            later = number - len(self.first)
            made = self.first[number] if later < 0 else self.pool[self.drawn[later]]
            yield replace(made, memory=replace(made.memory, id=id_of(number)))

    def flat_scores(self, queries: Tensor, heads: IndexHeads, count: int) -> Tensor:
        """Judge the first `count` chunks by all fine keys of each, (count,).

        As `memory.relevance.score_chunks` does, but what is drawn twice is read once.
        """
        distinct = [made.memory for made in (*self.first, *self.pool)]
        scaled = queries.float() * queries.shape[-1] ** -0.5  # (Q', T, D)
        blocks = [
            best_keys(scaled, distinct[start : start + 256], heads)
            for start in range(0, len(distinct), 256)
        ]
        best = torch.cat(blocks, dim=-1)  # (Q', T, distinct)
        first = torch.arange(len(self.first))
        which = torch.cat((first, self.drawn + len(first)))[:count]  # (count,)
        scores = torch.zeros(count)
        for row in best.flatten(0, 1):  # (distinct,), one question token and head
            logits = detrend(row[which], torch.arange(count).float())  # (count,)
            shares = logits.softmax(dim=-1)
            scores += sharpness(shares).square() * shares
        return scores

    def best(
        self, queries: Tensor, heads: IndexHeads, count: int, k: int
    ) -> list[ChunkId]:
        """Give the best of the first `count` chunks, the best first."""
        places = self.flat_scores(queries, heads, count).topk(k).indices
        return [id_of(place) for place in places.tolist()]


def make_stream(
    model: VisionLanguageModel,
    levels: BiLevel,
    seed: int,
    num_chunks: int,
    num_pool: int,
) -> LongStream:
    """Film, prefill and compress what a stream is made of.

    Args:
        model: The model.
        levels: How chunks are compressed.
        seed: A world of the test split, which no model is trained or tuned on.
        num_chunks: Length of the stream.
        num_pool: Different chunks after the first hour.
    """
    take = take_of(Split.TEST.world(seed), HOUR_CHUNKS)
    questions = [q for q in questions_on(take, 4) if q.type in ASKED]
    plates = {int(n) for q in questions for n in re.findall(r"#(\d+)", q.text)}
    sink = model.prefill_sink()
    first = [_remember(model, levels, sink, frames) for frames in take.film()]
    pool: list[CompressedChunk] = []
    for other in itertools.count(seed + 1):
        if len(pool) >= num_pool:
            break
        world = World(Split.TEST.world(other))
        for frames in film_world(world, start_of(world.seed), _POOL_CHUNKS):
            shown = world.visits(float(frames.times_s[0]), frames.end_s)
            if plates.isdisjoint(visit.plate for visit in shown):
                pool.append(_remember(model, levels, sink, frames))
    memories = [made.memory for made in first]  # as their world has their times
    chance = torch.Generator().manual_seed(seed)
    return LongStream(
        first,
        pool[:num_pool],
        torch.randint(num_pool, (num_chunks,), generator=chance),
        [
            Asked(q, frozenset(id_of(n) for n in holders_of(q, memories)))
            for q in questions
        ],
    )


def _remember(
    model: VisionLanguageModel, levels: BiLevel, sink: KV, frames: FrameChunk
) -> CompressedChunk:
    whole = model.prefill(frames, [sink])
    times = round(frames.start_s * 1000), round(frames.end_s * 1000)
    return levels.compress_chunk(ChunkId(CAMERA, *times), whole)
