"""Novelty: how far a visual token is from what its place in the picture usually shows.

A fixed camera sees the same background again and again. The median over the chunk's
frames stands for it, and the distance from that median is what moved.
"""

import torch
from torch import Tensor

from memory.compression.selection import select_tokens
from memory.kv import KV, ChunkKV


def feature_novelty(chunk: ChunkKV) -> Tensor:
    """Give the distance of each visual token from its median in time, (V,)."""
    frames, rows, columns = chunk.grid
    features = chunk.features.float().view(frames, rows * columns, -1)  # (frames, P, F)
    usual = features.median(dim=0).values  # (P, F)
    distance: Tensor = torch.norm(features - usual, dim=-1)  # (frames, P)
    return distance.flatten()  # (V,)


def keep_novel(chunk: ChunkKV, num_keep: int) -> KV:
    """Keep the tokens that differ most from the usual picture."""
    return select_tokens(chunk, feature_novelty(chunk), num_keep)
