"""Both levels of a chunk from one prefill: H-KV, L-KV and the keys of the index.

Video-X2L prefills the video twice, once per level, at about 2.45 times the cost; here
both are derived from the same KV (decision D1).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from memory.compression.index import take_index_keys
from memory.compression.novelty import keep_novel
from memory.compression.pooling import pool_tokens
from memory.compression.summary import keep_summaries
from memory.compression.value_norm import keep_large_values
from memory.kv import KV, ChunkId, ChunkKV, ChunkMemory
from memory.relevance import IndexHeads

METHODS: Mapping[str, Callable[[ChunkKV, int], KV]] = MappingProxyType(
    {
        "novelty": keep_novel,
        "value_norm": keep_large_values,
        "pooling": pool_tokens,
        "summary": keep_summaries,
    }
)


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """How one level is made.

    Attributes:
        method: A name in `METHODS`.
        factor: Tokens in / tokens kept, at least 1.
        numbers: What its keys and values are archived as (`memory.codec.NUMBERS`).
    """

    method: str
    factor: float
    numbers: str = "model"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            known = ", ".join(METHODS)
            raise ValueError(f"unknown compression {self.method!r}, known: {known}")
        if self.factor < 1:
            raise ValueError(f"a compression factor is at least 1, not {self.factor}")

    def apply(self, chunk: ChunkKV) -> KV:
        """Compress a chunk; tokens that were left out before count as tokens in."""
        num_tokens = chunk.kv.num_tokens + chunk.num_left_out
        num_keep = self.num_keep(num_tokens, len(chunk.pinned_tokens))
        return METHODS[self.method](chunk, num_keep)

    def num_keep(self, num_tokens: int, num_pinned: int) -> int:
        """Give the tokens kept: at least one visual token beside the pinned ones."""
        return max(math.ceil(num_tokens / self.factor), num_pinned + 1)


@dataclass(frozen=True, slots=True, eq=False)
class CompressedChunk:
    """A chunk at both levels.

    Attributes:
        memory: What stays resident: H-KV and index keys.
        low: The L-KV.
        num_tokens: Tokens of the chunk before compression.
        num_left_out: Visual tokens that were left out before that.
    """

    memory: ChunkMemory
    low: KV
    num_tokens: int
    num_left_out: int


@dataclass(frozen=True, slots=True)
class BiLevel:
    """The two levels and the index, as configured.

    Attributes:
        high: How H-KV is made.
        low: How L-KV is made.
        heads: Heads whose keys the index holds.
        index_keys: Keys per chunk and head in the index.
    """

    high: LevelSettings
    low: LevelSettings
    heads: IndexHeads
    index_keys: int

    def compress_chunk(self, id: ChunkId, chunk: ChunkKV) -> CompressedChunk:
        """Give both levels and the index keys of one chunk."""
        low = self.low.apply(chunk)
        high = self.high.apply(chunk)
        index_keys = take_index_keys(chunk, self.heads, self.index_keys)
        stamp_tokens = 0 if self.high.method == "summary" else len(chunk.pinned_tokens)
        memory = ChunkMemory(id, high, index_keys, low.num_tokens, stamp_tokens)
        return CompressedChunk(memory, low, chunk.kv.num_tokens, chunk.num_left_out)
