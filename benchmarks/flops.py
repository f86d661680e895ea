"""Floating-point operations: what a chunk's prefill takes, and what a device can do.

A product of (m, k) and (k, n) is 2 m k n operations: each weight of a matrix is 2 for
each token that passes it, and attention 4 d for each pair of a query and a key of width
d, a product for the score and one for the value. Of a chunk:

    2 W_p P                            patch embedding and blocks of the vision tower
    2 W_m V                            its mergers, which see merged patches
    4 E sum(p^2)                       its attention, in each block
    2 W_l S                            layers of the language model
    4 Q D (S C + S (S + 1) / 2)        its attention, in each layer: causal

    W  weights of matrices     P  patches       p  patches that see each other
    E  width of the tower      V  visual tokens
    S  tokens                  C  context tokens that they see
    Q  query heads             D  head size

Nothing else is counted: no norm, no RoPE, no pair that causality hides, and no logits,
which a prefill does not ask for. So the share of a device's rate that comes of it is
what the model needs, whatever an implementation does besides.
"""

from math import prod
from typing import Any

import torch
from torch import nn

from agent.vlm.model import VisionLanguageModel
from agent.vlm.text_shape import text_config
from benchmarks.meter import Meter
from memory.kv import ChunkKV

PRODUCTS = 20  # in one timing


def chunk_flops(
    model: VisionLanguageModel, chunk: ChunkKV, context_tokens: int
) -> dict[str, int]:
    """Count the operations of one chunk's prefill, of each part of the model.

    Args:
        model: Qwen2.5-VL or Qwen3-VL.
        chunk: What a prefill of such a chunk gives, nothing left out.
        context_tokens: Tokens that the chunk saw before it.
    """
    visual, text = model.module.model.visual, text_config(model.module.config)
    merge = model.module.config.vision_config.spatial_merge_size
    mergers = [visual.merger, *getattr(visual, "deepstack_merger_list", ())]
    merging = sum(_matrix_weights(merger) for merger in mergers)
    tokens, tower = chunk.kv.num_tokens, _matrix_weights(visual) - merging
    pairs = tokens * context_tokens + tokens * (tokens + 1) // 2
    heads = text.num_hidden_layers * text.num_attention_heads
    layers = _matrix_weights(model.module.get_decoder().layers)
    merged = prod(chunk.grid)
    return {
        "vision": 2 * (tower * merged * merge**2 + merging * merged),
        "vision_attention": 4 * _vision_pairs(visual.config, chunk.grid),
        "language": 2 * layers * tokens,
        "language_attention": 4 * heads * text.head_dim * pairs,
    }


def _matrix_weights(part: nn.Module) -> int:
    matrices = (m for m in part.modules() if isinstance(m, nn.Linear | nn.Conv3d))
    return sum(matrix.weight.numel() for matrix in matrices)


def _vision_pairs(config: Any, grid: tuple[int, int, int]) -> int:
    """Count pairs of patches that see each other, times width, in all blocks.

    Patches see those of their frame pair; in Qwen2.5-VL, but for a few blocks, only
    those of their window.
    """
    frames, rows, columns = grid
    square = config.spatial_merge_size**4  # of patches in a merged one
    full = config.depth
    windowed = 0
    if hasattr(config, "fullatt_block_indexes"):
        full = len(config.fullatt_block_indexes)
        side = config.window_size // config.spatial_merge_size // config.patch_size
        windowed = _squares(rows, side) * _squares(columns, side)
    pairs = full * (rows * columns) ** 2 + (config.depth - full) * windowed
    count: int = config.hidden_size * frames * square * pairs
    return count


def _squares(length: int, side: int) -> int:
    """Cut a length into sides; give the sum of their squares."""
    return length // side * side**2 + (length % side) ** 2


def matmul_rate(device: torch.device, side: int, repeats: int) -> float:
    """Measure the operations per second of large products in bfloat16, the median.

    Args:
        device: Where.
        side: Of the square matrices; normal random numbers, as zeros draw less power.
        repeats: Timings of `PRODUCTS` products each; one more warms up.
    """
    left, right = (
        torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2)
    )
    result = torch.empty_like(left)
    meter = Meter(device)
    for _ in range(repeats + 1):
        meter.begin_turn()
        with meter.step("products"):
            for _ in range(PRODUCTS):
                torch.mm(left, right, out=result)
    return 2 * side**3 * PRODUCTS / meter.ms("products") * 1000
