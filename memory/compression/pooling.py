"""Pooling: neighbours in time become one token, their mean key, value and position.

Video-XL-2's training-free recipe (average pooling of pre-RoPE keys), here over runs of
visual tokens in reading order. Keys are averaged before RoPE: after it, the fast
channels would cancel each other.
"""

import torch
from torch import Tensor

from memory.kv import KV, ChunkKV


def pool_tokens(chunk: ChunkKV, num_keep: int) -> KV:
    """Average the visual tokens into as many groups as the budget leaves room for.

    The same place in consecutive frames is averaged first (time is the most redundant
    axis of a fixed camera), so visual tokens are grouped place by place.

    Args:
        chunk: Full KV of the chunk.
        num_keep: Tokens to keep, at least one more than the pinned ones.
    """
    tokens = chunk.kv.num_tokens
    if num_keep >= tokens:
        return chunk.kv
    _, rows, columns = chunk.grid
    by_place = (chunk.places % (rows * columns)).argsort(stable=True)  # (V,)
    by_place = chunk.visual_tokens[by_place]  # (V,)
    num_groups = min(max(num_keep - len(chunk.pinned_tokens), 1), len(by_place))
    groups = by_place.tensor_split(num_groups)

    def averaged(x: Tensor) -> Tensor:  # (..., S, D) -> (..., P + groups, D)
        means = [x[..., group, :].float().mean(dim=-2) for group in groups]
        pooled = torch.stack(means, dim=-2).to(x.dtype)
        return torch.cat((x[..., chunk.pinned_tokens, :], pooled), dim=-2)

    positions = averaged(chunk.kv.positions.transpose(1, 2)).transpose(1, 2)
    return KV(
        averaged(chunk.kv.keys),
        averaged(chunk.kv.values),
        positions.contiguous(),
        chunk.kv.span,
    )
