"""The vision tower, batched for training: the stock modules' weights, no loop.

The stock forward attends frame pair by frame pair; on a CPU that is many small calls.
Here all pairs of one size go at once. A test holds this to the stock forward.

    B  frame pairs   P  patches of a pair   V  visual tokens of a pair   C  hidden size
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLVisionAttention,
    Qwen3VLVisionModel,
    rotate_half,
)

SIDE, MERGE = 8, 2  # patches a side, and those merged into a visual token


def patch_places() -> Tensor:
    """Give row and column of each patch in the order the tower reads them, (P, 2)."""
    side = torch.arange(SIDE)
    places = torch.cartesian_prod(side, side).view(
        SIDE // MERGE, MERGE, SIDE // MERGE, MERGE, 2
    )
    return places.permute(0, 2, 1, 3, 4).reshape(-1, 2)


def see(tower: Qwen3VLVisionModel, patches: Tensor) -> Tensor:
    """Run frame pairs through the tower.

    Args:
        tower: The stock vision tower, without DeepStack.
        patches: As `patchify` gives them, (B, P, values).

    Returns:
        Visual features, (B, V, C).
    """
    places = patch_places().to(patches.device)
    kernel = tower.patch_embed.proj
    hidden = functional.linear(patches, kernel.weight.flatten(1), kernel.bias)
    hidden = hidden + tower.pos_embed.weight[places[:, 0] * SIDE + places[:, 1]]
    cos, sin = tower.rotary_pos_emb(hidden, places)  # (P, D)
    for block in tower.blocks:
        hidden = hidden + _attend(block.attn, block.norm1(hidden), cos, sin)
        hidden = hidden + block.mlp(block.norm2(hidden))  # (B, P, C)
    merger = tower.merger
    merged = merger.norm(hidden).reshape(len(hidden), -1, merger.hidden_size)
    return merger.linear_fc2(merger.act_fn(merger.linear_fc1(merged)))  # (B, V, C)


def _attend(
    attention: Qwen3VLVisionAttention, hidden: Tensor, cos: Tensor, sin: Tensor
) -> Tensor:
    batch, patches, size = hidden.shape
    heads = attention.num_heads
    qkv = attention.qkv(hidden).view(batch, patches, 3, heads, size // heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, P, D)
    query = query * cos + rotate_half(query) * sin
    key = key * cos + rotate_half(key) * sin
    logits = query @ key.transpose(-1, -2) * attention.scaling  # (B, heads, P, P)
    mixed = logits.softmax(dim=-1).to(value.dtype) @ value
    return attention.proj(mixed.transpose(1, 2).reshape(batch, patches, size))


class Heads(nn.Module):
    """Linear heads that read the attributes off a visual token; training only."""

    def __init__(self, size: int, classes: list[int]) -> None:
        super().__init__()
        self.classes = classes
        self.linear = nn.Linear(size, sum(classes))

    def forward(self, features: Tensor) -> list[Tensor]:
        """Give the logits of each attribute, (..., classes)."""
        return list(self.linear(features).split(self.classes, dim=-1))

    def rows(self) -> list[Tensor]:
        """Give the weights of each attribute, (classes, C)."""
        return [part.detach() for part in self.linear.weight.split(self.classes)]
