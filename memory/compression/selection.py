"""Keep the tokens with the highest scores; one index set for all layers.

Which tokens: first the pinned ones (the chunk's time stamp), then visual tokens by
score, then, only when every visual token is in, the rest of the text. The order in time
is kept.
"""

import torch
from torch import Tensor

from memory.kv import KV, ChunkKV


def select_tokens(chunk: ChunkKV, scores: Tensor, num_keep: int) -> KV:
    """Give the KV of the `num_keep` tokens that matter most.

    Args:
        chunk: Full KV of the chunk.
        scores: One score per visual token, (V,), higher is kept first.
        num_keep: Tokens to keep, at least one more than the pinned ones.
    """
    tokens = chunk.kv.num_tokens
    device = chunk.kv.keys.device
    priority = torch.full((tokens,), -torch.inf, device=device)  # (S,)
    priority[chunk.visual_tokens] = scores.float()
    priority[chunk.pinned_tokens] = torch.inf
    kept = priority.topk(min(num_keep, tokens)).indices.sort().values  # (S',)
    return take_tokens(chunk.kv, kept)


def take_tokens(kv: KV, kept: Tensor) -> KV:
    """Give the KV of the tokens at these indices, (S',), in every layer."""
    positions = kv.positions[:, :, kept]
    return KV(kv.keys[:, :, kept], kv.values[:, :, kept], positions, kv.span)
