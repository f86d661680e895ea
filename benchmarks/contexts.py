"""What a question may read: the product's mix of levels, and the controls beside it.

A context is a list of runs of KV, to be composed behind the sink. All of a stream's
contexts come from the same prefilled chunks and the same model.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.vlm.model import VisionLanguageModel
from memory.compression.bilevel import LevelSettings
from memory.kv import KV, ChunkKV, ChunkMemory
from memory.recall import Candidate, Reading, RecallLimits, plan_recall
from memory.relevance import score_chunks

HIGH, LOW = LevelSettings("novelty", 16), LevelSettings("value_norm", 2)
NEWEST = 1
UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One camera's prefilled chunks, and what the product remembers of them.

    Attributes:
        model: The model.
        sink: KV of the system prompt.
        wholes: Full KV of each chunk, in time order.
        memories: H-KV and index keys of each.
        seed: For the random control.
    """

    model: VisionLanguageModel
    sink: KV
    wholes: Sequence[ChunkKV]
    memories: Sequence[ChunkMemory]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question to a stream, and which of its chunks hold the answer.

    Attributes:
        text: What is asked.
        scores: The product's relevance of each chunk.
        holders: Indices of the chunks that hold the answer.
    """

    text: str
    scores: Sequence[float]
    holders: Sequence[int]


def score(stream: Stream, text: str) -> list[float]:
    """Give the product's relevance of each chunk."""
    queries = stream.model.question_queries(text, stream.sink)
    scores: list[float] = score_chunks(
        queries, stream.memories, stream.model.heads
    ).tolist()
    return scores


def plan(stream: Stream, scores: Sequence[float], k: int) -> tuple[Reading, ...]:
    """Plan a recall as the product does."""
    candidates = [
        Candidate(m.id, m.high.num_tokens, m.low_tokens, s)
        for m, s in zip(stream.memories, scores, strict=True)
    ]
    return plan_recall(candidates, RecallLimits(k, NEWEST, UNBOUNDED))


def plan_for(stream: Stream, chosen: Sequence[int]) -> tuple[Reading, ...]:
    """Plan a recall that re-loads just these chunks, and the newest."""
    scores = [float(number in chosen) for number in range(len(stream.memories))]
    return plan(stream, scores, len(chosen))


def choose_random(stream: Stream, asked: Asked, k: int) -> tuple[Reading, ...]:
    """Re-load k chunks by chance."""
    dealer = random.Random(f"{stream.seed} {asked.text}")
    count = len(stream.memories)
    return plan_for(stream, dealer.sample(range(count), min(k, count)))


def choose_oracle(stream: Stream, asked: Asked, k: int) -> tuple[Reading, ...]:
    """Re-load the chunks that hold the answer, the first k of them."""
    return plan_for(stream, asked.holders[:k])


def full(stream: Stream) -> list[KV]:
    """Read everything, uncompressed."""
    return [whole.kv for whole in stream.wholes]


def level(stream: Stream, settings: LevelSettings) -> list[KV]:
    """Read everything at one compression factor."""
    return [settings.apply(whole) for whole in stream.wholes]


def recent(stream: Stream, tokens: int) -> list[KV]:
    """Read the newest chunks only, uncompressed, as many as fit and at least one."""
    runs: list[KV] = []
    for whole in reversed(stream.wholes):
        if runs and sum(r.num_tokens for r in runs) + whole.kv.num_tokens > tokens:
            break
        runs.insert(0, whole.kv)
    return runs


def uniform(stream: Stream, tokens: int) -> list[KV]:
    """Read chunks spread evenly over the stream, uncompressed, as many as fit."""
    count = max(1, tokens // stream.wholes[0].kv.num_tokens)
    places = torch.linspace(0, len(stream.wholes) - 1, count).round().int().tolist()
    return [stream.wholes[place].kv for place in sorted(set(places))]


def flat(stream: Stream, tokens: int) -> list[KV]:
    """Read everything at the one factor that costs as much as the mix."""
    total = sum(whole.kv.num_tokens for whole in stream.wholes)
    return level(stream, LevelSettings(HIGH.method, max(1.0, total / tokens)))


def rekv(stream: Stream, text: str, tokens: int) -> list[KV]:
    """Read the frames of full KV that each layer ranks highest, as ReKV does.

    Per layer: mean pre-RoPE key of a frame times mean pre-RoPE query of the question,
    key heads repeated to query heads, summed over heads (ICLR 2025; see its code).
    """
    queries = all_queries(stream.model, text, stream.sink)  # (L, Q, T, D)
    frames = [kv for whole in stream.wholes for kv in split_frames(whole)]
    means = torch.stack([f.keys.float().mean(dim=2) for f in frames])  # (n, L, H, D)
    groups = queries.shape[1] // means.shape[2]
    keys = means.repeat_interleave(groups, dim=2)  # (n, L, Q, D)
    ranked = (keys * queries.float().mean(dim=2)).sum(dim=(2, 3))  # (n, L)
    count = min(max(1, tokens // frames[0].num_tokens), len(frames))
    best = ranked.topk(count, dim=0).indices.sort(dim=0).values  # (count, L)
    return [_layered(frames, row) for row in best]


def all_queries(model: VisionLanguageModel, text: str, sink: KV) -> Tensor:
    """Give the pre-RoPE queries of a question in every head, (L, Q, T, D)."""
    config = model.module.config.text_config
    shape = (config.num_hidden_layers, config.num_attention_heads)
    pairs = [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    every = model.with_heads(pairs).question_queries(text, sink)
    return every.view(*shape, *every.shape[1:])


def split_frames(whole: ChunkKV) -> list[KV]:
    """Cut a chunk's KV into its temporal patches, each with its stamp and markers."""
    count = whole.grid[0]
    size = whole.kv.num_tokens // count
    parts = []
    for number in range(count):
        part = slice(number * size, (number + 1) * size)
        positions = whole.kv.positions[:, :, part]
        start = positions[:, :1, :1]
        span = whole.kv.span // count
        keys, values = whole.kv.keys[:, :, part], whole.kv.values[:, :, part]
        parts.append(KV(keys, values, positions - start, span))
    return parts


def _layered(frames: Sequence[KV], chosen: Tensor) -> KV:
    """Build one run whose layers come from different frames, (L,) indices."""
    picks = list(enumerate(chosen.tolist()))
    return KV(
        torch.stack([frames[i].keys[layer] for layer, i in picks]),
        torch.stack([frames[i].values[layer] for layer, i in picks]),
        torch.stack([frames[i].positions[layer] for layer, i in picks]),
        frames[0].span,
    )


PLANNED: Mapping[str, Callable[[Stream, Asked, int], tuple[Reading, ...]]] = {
    "random": choose_random,
    "bilevel": lambda stream, asked, k: plan(stream, asked.scores, k),
    "oracle": choose_oracle,
}


def recall_at(asked: Asked, k: int) -> bool:
    """Tell whether one of the k best-scored chunks holds the answer."""
    order = sorted(
        range(len(asked.scores)), key=lambda n: asked.scores[n], reverse=True
    )
    return bool(set(order[:k]) & set(asked.holders))
