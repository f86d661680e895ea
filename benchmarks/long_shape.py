"""What does a month of memory cost at a larger model's size, and how slow is it?

Run `python -m benchmarks.long_run --shape qwen2.5-vl-7b --days D --json FILE`.

Chunks of random numbers in a published model's shape go through the product's own
memory; there is no model. H-KV and L-KV are of a few chunks in turn, index keys are
each chunk's own. At each age memory is asked, step by step as `agent.answerer` does, up
to the point where a model would read what was recalled.

There are no answers, and nothing means anything. What is found is a **planted needle of
random numbers**: a question's queries are noise, and in some of its tokens the keys of
one chunk besides, those that stand out in it. So `found_at_*` tells whether two stages
find a chunk that they ought to, and nothing of how well a model's questions find what
they mean. Needles are planted in the oldest hour that is still remembered: that is the
first one, as long as the archive's budget holds the H-KV of all chunks.
"""

import argparse
import asyncio
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from agent.stopwatch import Stopwatch
from benchmarks.archive_ways import SHAPES, Shape, make_kv
from benchmarks.long_memory import (
    DAY_CHUNKS,
    INDEX_KEYS,
    LEVELS,
    LIMITS,
    LongMemory,
    Row,
    facts,
    filled,
    open_store,
)
from benchmarks.long_stream import CAMERA, CHUNK_MS, HOUR_CHUNKS, START_MS, id_of
from benchmarks.outage_victims import Redis
from memory.compression.bilevel import CompressedChunk
from memory.kv import KV, ChunkId, ChunkMemory, Level
from memory.recall import Candidate, plan_recall
from memory.redis_archive import RedisArchive
from memory.rehydration import compose
from memory.relevance import IndexHeads
from memory.retention import Limits
from memory.store import MemoryStore

POOL, RESIDENT_TOKENS = 24, 16384
RETIRE_EVERY = 6  # chunks: once a minute, as the agent does; a day's L-KV is 55 GB
QUERIES_PER_KV = 7  # query heads of Qwen2.5-VL-7B that read one key-value head
QUESTIONS, QUESTION_TOKENS, NEEDLE_TOKENS = 12, 12, 2
ROUNDS = 3  # each question is timed so often; the least counts
ROOM = 64  # tokens that a question and its answer would take
STEPS = ("coverage", "relevance", "descent", "fetch", "rehydrate")
_STAMP_TOKENS = 10  # of the larger tokenizers
_SEEDS = 1_000_003  # chunks of a seed that share no keys with the next seed's


class PlainRotary:
    """RoPE as in the paper, on the time row only.

    Args:
        size: Of a head.
    """

    scaling = 1.0

    def __init__(self, size: int) -> None:
        self._frequencies = 1e6 ** -(torch.arange(0, size, 2) / size)  # (D / 2,)

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cos and sin, each (S, D) float32, for positions (3, S)."""
        angles = positions[0][:, None] * self._frequencies  # (S, D / 2)
        both = torch.cat((angles, angles), dim=-1)  # (S, D)
        return both.cos(), both.sin()


class ShapeStream:
    """Chunks of random numbers, and questions that point at them.

    Args:
        shape: Of their L-KV.
        num_pool: Different H-KV and L-KV.
        seed: Of all numbers.
    """

    def __init__(self, shape: Shape, num_pool: int, seed: int) -> None:
        self.shape, self.seed = shape, seed
        whole = round(shape.tokens * LEVELS[1].factor)
        coarse = LEVELS[0].num_keep(whole, 0)
        self.stamp_tokens = min(_STAMP_TOKENS, max(coarse // 2, 1))
        self.whole_tokens = whole
        num_high = LEVELS[0].num_keep(whole, self.stamp_tokens)
        seeds = range(2 * num_pool * seed, 2 * num_pool * (seed + 1), 2)
        highs = replace(shape, tokens=num_high)
        self.pool = [
            (make_kv(highs, "model", n), make_kv(shape, "model", n + 1)) for n in seeds
        ]
        query_heads = range(shape.heads * QUERIES_PER_KV)
        self.heads = IndexHeads.of([(0, head) for head in query_heads], QUERIES_PER_KV)

    def chunks(self, start: int, end: int) -> Iterator[CompressedChunk]:
        """Give chunks; H-KV is copied, so that each chunk takes memory of its own."""
        for number in range(start, end):
            high, low = self.pool[number % len(self.pool)]
            own = KV(high.keys.clone(), high.values.clone(), high.positions, high.span)
            keys, low_tokens = self.keys(number), low.num_tokens
            memory = ChunkMemory(
                id_of(number), own, keys, low_tokens, self.stamp_tokens
            )
            yield CompressedChunk(memory, low, self.whole_tokens, 0)

    def keys(self, number: int) -> Tensor:
        """Give a chunk's index keys, (I, N, D), the same ones whenever asked."""
        random = torch.Generator().manual_seed(self.seed * _SEEDS + number)
        sizes = (len(self.heads.kv_heads), INDEX_KEYS, self.shape.size)
        return torch.randn(sizes, generator=random).to(self.shape.dtype)

    def queries(self, number: int) -> Tensor:
        """Give the queries of a question that points at a chunk, (Q', T, D).

        All tokens are noise; to some of them one of the chunk's longest keys is added.
        """
        random = torch.Generator().manual_seed(-1 - self.seed * _SEEDS - number)
        keys = self.keys(number).float()
        longest = keys.norm(dim=-1).topk(NEEDLE_TOKENS).indices  # (I, n)
        rows = torch.arange(len(keys))[:, None]
        needles = keys[rows, longest][self.heads.reads]  # (Q', n, D)
        sizes = (len(needles), QUESTION_TOKENS, self.shape.size)
        queries = torch.randn(sizes, generator=random)
        queries[:, :NEEDLE_TOKENS] += needles
        return queries.to(self.shape.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What came of one question.

    Attributes:
        found: The chunks that relevance chose, the best first, and how they were read.
        steps_ms: Of each step.
        num_tokens: Read in all.
    """

    found: dict[ChunkId, Level]
    steps_ms: dict[str, float]
    num_tokens: int

    @property
    def total_ms(self) -> float:
        """All steps together."""
        return sum(self.steps_ms.values())


async def ask(store: MemoryStore, queries: Tensor, rotary: PlainRotary) -> Asked:
    """Go the way of `Answerer` from queries to the cache that a model would read."""
    watch = Stopwatch()
    reach = await store.reach([CAMERA], (None, None), LIMITS.context_tokens)
    watch.lap("coverage")
    relevance = await store.relevance(queries, [CAMERA])
    watch.lap("relevance")
    opened = await store.descend(reach.nodes, relevance.best(LIMITS.top_k))
    watch.lap("descent")
    scores = relevance.of_nodes(opened.nodes)
    candidates = [
        Candidate(node.id, node.high.num_tokens, node.low_tokens, score)
        for node, score in zip(opened.nodes, scores, strict=True)
    ]
    plan = plan_recall(candidates, LIMITS)
    recalled = await store.recall(plan, opened.nodes)
    watch.lap("fetch")
    cache = await asyncio.to_thread(compose, recalled.runs, rotary, room=ROOM)
    watch.lap("rehydrate")
    chosen = [reading for reading in recalled.readings if reading.is_evidence]
    chosen.sort(key=lambda reading: reading.score, reverse=True)
    found = {reading.chunk: reading.level for reading in chosen}
    return Asked(found, watch.laps_ms, cache.num_tokens)


async def ask_all(store: MemoryStore, stream: ShapeStream, count: int) -> Row:
    """Ask for needles in the oldest hour of `count` chunks; give what came of it."""
    oldest = store.index.window([CAMERA]).chunk(0)
    first = (oldest.start_ms - START_MS) // CHUNK_MS
    hour = range(first, min(first + HOUR_CHUNKS, count))
    planted = hour[:: -(-len(hour) // QUESTIONS)]
    rotary = PlainRotary(stream.shape.size)
    asked = []
    for number in planted:
        queries = stream.queries(number)
        rounds = [await ask(store, queries, rotary) for _ in range(ROUNDS)]
        asked.append(min(rounds, key=lambda each: each.total_ms))
    return {
        "questions": len(planted),
        "asked_from_chunk": first,
        **_found([id_of(number) for number in planted], asked),
        "until_model_ms": round(statistics.median(a.total_ms for a in asked), 1),
        "steps_ms": {
            step: round(statistics.median(a.steps_ms[step] for a in asked), 1)
            for step in STEPS
        },
        "context_tokens": statistics.median(a.num_tokens for a in asked),
    }


def _found(planted: Sequence[ChunkId], asked: Sequence[Asked]) -> Row:
    """Give how often the needle was among the first, and how it was read."""
    pairs = list(zip(planted, asked, strict=True))
    shares = {
        f"found_at_{k}": sum(id in list(a.found)[:k] for id, a in pairs) / len(pairs)
        for k in (1, LIMITS.top_k)
    }
    levels = Counter(a.found[id].name.lower() for id, a in pairs if id in a.found)
    return {**shares, "found_levels": dict(levels)}


def measure(arguments: argparse.Namespace, folder: Path) -> Row:
    """Remember random chunks of a shape, and ask at each age that it gets to."""
    arguments = filled(arguments, pool=POOL, resident_tokens=RESIDENT_TOKENS)
    stream = ShapeStream(SHAPES[arguments.shape], arguments.pool, arguments.seed)
    redis = Redis(folder, fsync=None)
    try:
        rows = asyncio.run(_grow_old(stream, arguments, redis.url, folder))
    finally:
        redis.kill()
    return {**facts(arguments, shape=arguments.shape), "rows": rows}


async def _grow_old(
    stream: ShapeStream, arguments: argparse.Namespace, url: str, folder: Path
) -> list[Row]:
    ages = {"1h": HOUR_CHUNKS, "6h": DAY_CHUNKS // 4}
    ages |= {f"{n}d": n * DAY_CHUNKS for n in (1, 7, 30)}
    total = max(round(arguments.days * DAY_CHUNKS), HOUR_CHUNKS)
    device = torch.device("cpu")
    async with RedisArchive(url, model=arguments.shape) as archive:
        store = await open_store(archive, folder, arguments, stream.heads, device)
        limits = Limits(total=arguments.archive_bytes)
        memory = LongMemory(store, stream, limits, RETIRE_EVERY)
        return await memory.grow_old(
            {age: count for age, count in ages.items() if count <= total},
            lambda: ask_all(store, stream, memory.count),
        )
