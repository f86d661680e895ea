"""Value norm: tokens with large values change what attention gives back.

InfiniPot-V (NeurIPS 2025) ranks visual tokens by ||V||; at 2x nearly any rule is free,
and this one needs nothing but the cache.
"""

import torch
from torch import Tensor

from memory.compression.selection import select_tokens
from memory.kv import KV, ChunkKV


def value_norms(chunk: ChunkKV) -> Tensor:
    """Give each visual token's value norm, mean over layers and heads, (V,)."""
    norms = torch.norm(chunk.kv.values.float(), dim=-1).mean(dim=(0, 1))  # (S,)
    visual: Tensor = norms[chunk.visual_tokens]  # (V,)
    return visual


def keep_large_values(chunk: ChunkKV, num_keep: int) -> KV:
    """Keep the tokens with the largest values."""
    return select_tokens(chunk, value_norms(chunk), num_keep)
