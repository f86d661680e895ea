"""The keys of the index: those of a chunk that show what is not always there."""

from torch import Tensor

from memory.compression.novelty import feature_novelty
from memory.kv import ChunkKV
from memory.relevance import IndexHeads


def take_index_keys(chunk: ChunkKV, heads: IndexHeads, num_keys: int) -> Tensor:
    """Give the keys of the most novel visual tokens in the index heads, (I, N, D)."""
    novelty = feature_novelty(chunk)  # (V,)
    best = novelty.topk(min(num_keys, len(novelty))).indices.sort().values
    tokens = chunk.visual_tokens[best]  # (N,)
    layers, kv_heads = heads.kv_heads.unbind(dim=1)  # (I,), (I,)
    return chunk.kv.keys[layers, kv_heads][:, tokens]  # (I, N, D)
