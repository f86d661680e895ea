"""Novelty: how far a visual token is from what its place in the picture usually shows.

A fixed camera sees the same background again and again. The median over the chunk's
frames stands for it, and the distance from that median is what moved. A place without
a token counts as showing what it last showed.
"""

import torch
from torch import Tensor

from memory.compression.selection import select_tokens
from memory.kv import KV, ChunkKV


def feature_novelty(chunk: ChunkKV) -> Tensor:
    """Give the distance of each visual token from its median in time, (V,)."""
    frames, rows, columns = chunk.grid
    last = torch.zeros(frames * rows * columns, dtype=torch.long)  # (frames * P,)
    last = last.to(chunk.places.device)
    last[chunk.places] = torch.arange(len(chunk.places), device=last.device)
    last = last.view(frames, -1).cummax(dim=0).values  # (frames, P)
    shown = chunk.features.float()[last]  # (frames, P, F)
    usual = shown.median(dim=0).values  # (P, F)
    distance: Tensor = torch.norm(shown - usual, dim=-1)  # (frames, P)
    return distance.flatten()[chunk.places]  # (V,)


def keep_novel(chunk: ChunkKV, num_keep: int) -> KV:
    """Keep the tokens that differ most from the usual picture."""
    return select_tokens(chunk, feature_novelty(chunk), num_keep)
