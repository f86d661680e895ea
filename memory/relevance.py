"""Which chunks does a question mean? Late interaction in the heads that retrieve.

For each question token and head, the best key of each chunk; a softmax over chunks, so
that a token says how strongly it points at one chunk rather than another; then the sum
over tokens and heads, each token counted by how sharply it points. One token of a
question, a plate say, knows where to look, and a plain sum drowns it in the others;
the largest value alone hears only one of two words that name a thing together. Decision
0006 has the measurements. Keys and queries are pre-RoPE: position would add what is not
asked about.

    Q' query heads that retrieve        c  chunks scored at once
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from memory.kv import ChunkId

BLOCK_CHUNKS = 256  # scored at once: bounds the logits
DETREND_FROM_CHUNKS = 256  # of fewer the line is mostly what the question points at


@dataclass(frozen=True, slots=True, eq=False)
class IndexHeads:
    """The query heads that retrieve, and the key-value heads they read.

    Attributes:
        query_heads: (layer, query head) pairs, (Q', 2), int64.
        kv_heads: The distinct (layer, key-value head) pairs they read, (I, 2), int64.
        reads: For each query head the row of `kv_heads` that it reads, (Q',), int64.
    """

    query_heads: Tensor
    kv_heads: Tensor
    reads: Tensor

    @property
    def index_name(self) -> str:
        """What an index of these heads is known by, `<layer>.<head>` for each."""
        return " ".join(f"{layer}.{head}" for layer, head in self.kv_heads.tolist())

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int]], queries_per_kv: int) -> "IndexHeads":
        """Build from (layer, query head) pairs of a model with grouped queries."""
        query_heads = torch.tensor(sorted(set(pairs)))  # (Q', 2)
        read = query_heads.clone()
        read[:, 1] //= queries_per_kv
        kv_heads, reads = read.unique(dim=0, return_inverse=True)
        return cls(query_heads, kv_heads, reads)


class Indexed(Protocol):
    """A chunk whose relevance can be judged, such as a `ChunkMemory`."""

    @property
    def id(self) -> ChunkId:
        """The chunk."""

    @property
    def index_keys(self) -> Tensor:
        """Pre-RoPE keys, (I, N, D); none of them if N is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class ChunkKeys:
    """A chunk's keys in some heads, and nothing else of it.

    Attributes:
        id: The chunk.
        index_keys: Pre-RoPE keys, (I, N, D).
    """

    id: ChunkId
    index_keys: Tensor


def score_chunks(
    queries: Tensor, chunks: Sequence[Indexed], heads: IndexHeads
) -> Tensor:
    """Give the relevance of each chunk to a question, (C,), summing to 1.

    A chunk without index keys has none; if no chunk has any, all are 0.

    Args:
        queries: Pre-RoPE queries of the question's tokens in `heads.query_heads`,
            (Q', T, D).
        chunks: Of one camera or several, in any order.
        heads: What the index holds.
    """
    scores = head_scores(queries, chunks, heads).sum(dim=0)  # (C,)
    total = scores.sum()
    return scores / total if total else scores


def head_scores(
    queries: Tensor, chunks: Sequence[Indexed], heads: IndexHeads
) -> Tensor:
    """Give how strongly each head points at each chunk, (Q', C).

    The shares that the question's tokens give it, summed; arguments as for
    `score_chunks`.
    """
    places = [n for n, chunk in enumerate(chunks) if chunk.index_keys.shape[1]]
    scores = queries.new_zeros(len(queries), len(chunks), dtype=torch.float32)
    if places:
        affinity = _affinity(queries, [chunks[n] for n in places], heads)
        shares = affinity.softmax(dim=-1)  # (Q', T, C)
        weights = sharpness(shares).square()  # (Q', T)
        scores[:, places] = (weights[..., None] * shares).sum(dim=1)
    return scores


def sharpness(shares: Tensor) -> Tensor:
    """Give how sharply shares (..., C) point: 0 if all are equal, 1 if all is one."""
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum(dim=-1)
    return (1 - entropy / math.log(max(shares.shape[-1], 2))).clamp(min=0)


def _affinity(queries: Tensor, chunks: Sequence[Indexed], heads: IndexHeads) -> Tensor:
    """Give the best key's logit, de-trended camera by camera, (Q', T, C)."""
    scaled = queries.float() * queries.shape[-1] ** -0.5  # (Q', T, D)
    blocks = [
        best_keys(scaled, chunks[start : start + BLOCK_CHUNKS], heads)
        for start in range(0, len(chunks), BLOCK_CHUNKS)
    ]
    affinity = torch.cat(blocks, dim=-1)  # (Q', T, C)
    of_camera: dict[str, list[int]] = {}
    for number, chunk in enumerate(chunks):
        of_camera.setdefault(chunk.id.camera, []).append(number)
    for numbers in of_camera.values():
        times = torch.tensor([float(chunks[n].id.start_ms) for n in numbers])
        affinity[..., numbers] = detrend(affinity[..., numbers], times)
    return affinity


def detrend(affinity: Tensor, times: Tensor) -> Tensor:
    """Take the straight line in time out of each row (..., C), and keep its mean.

    Similarity drifts upwards with stream time and pulls retrieval to late chunks
    (MemStream, arXiv 2602.18434). With few chunks there is no line to speak of.

    Args:
        affinity: Of one camera's chunks.
        times: Their times, (C,), in any unit.
    """
    if len(times) < DETREND_FROM_CHUNKS:
        return affinity
    centred = (times.double() - times.double().mean()).to(affinity)  # (C,)
    spread = (centred * centred).sum()
    if not spread:
        return affinity
    slope = (affinity * centred).sum(dim=-1, keepdim=True) / spread
    return affinity - slope * centred


def best_keys(scaled: Tensor, chunks: Sequence[Indexed], heads: IndexHeads) -> Tensor:
    """Give the best key's logit per head, question token and chunk, (Q', T, c).

    Args:
        scaled: Queries divided by the root of the head size, (Q', T, D), float32.
        chunks: At least one, each with index keys.
        heads: What the index holds.
    """
    counts = torch.tensor([chunk.index_keys.shape[1] for chunk in chunks])  # (c,)
    owner = torch.arange(len(chunks)).repeat_interleave(counts)  # (sum N,)
    keys = torch.cat([chunk.index_keys for chunk in chunks], dim=1)  # (I, sum N, D)
    logits = scaled @ keys[heads.reads].float().transpose(1, 2)  # (Q', T, sum N)
    best = logits.new_full((*logits.shape[:2], len(chunks)), -torch.inf)
    spots = owner.to(logits.device).expand_as(logits)
    return best.scatter_reduce(-1, spots, logits, reduce="amax")
