"""One mixed cache out of many runs of KV: each chunk at its level, in time order.

Every run gets new positions right behind the run before it, so that the question is
never far from what it reads, however long the stream (Video-X2L and ReKV number their
caches the same way). A run takes as many positions as it has tokens left, and never
more than it took when it was prefilled: uncompressed chunks stand exactly where one
long prefill would have put them, compressed ones close up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memory.kv import KV
from memory.rope import Rotary, rotate


@dataclass(slots=True, eq=False)
class MixedCache:
    """Post-RoPE keys and values with free room behind them, owned by one reader.

    The one mutable type here: a model writes the tokens it adds into the room, so that
    a token costs no copy of the cache.

    Attributes:
        keys: Post-RoPE, (L, H, capacity, D); the first `num_tokens` are filled.
        values: (L, H, capacity, D).
        num_tokens: Tokens filled.
        next_position: Rotary position of the next token.
    """

    keys: Tensor
    values: Tensor
    num_tokens: int
    next_position: int


def width(kv: KV) -> int:
    """Give the positions that a run takes in a composed cache."""
    return min(kv.span, kv.num_tokens)


def place(runs: Sequence[KV]) -> Tensor:
    """Give the positions (L, 3, T) of runs that stand right behind each other.

    Time is scaled to each run's width; height and width keep their distance from time.
    """
    positions = torch.cat([run.positions for run in runs], dim=2)  # (L, 3, T)
    sizes = torch.tensor([run.num_tokens for run in runs])  # (runs,)
    widths = torch.tensor([width(run) for run in runs])  # (runs,)
    spans = torch.tensor([run.span for run in runs])  # (runs,)
    starts = widths.cumsum(0) - widths  # (runs,)
    each = torch.stack((starts, widths / spans))
    start, scale = each.repeat_interleave(sizes, dim=1).to(positions.device)  # (T,)
    time = positions[:, :1]  # (L, 1, T)
    placed: Tensor = positions + (start + time * scale - time)  # (L, 3, T)
    return placed


def compose(runs: Sequence[KV], rotary: Rotary, *, room: int) -> MixedCache:
    """Concatenate runs into one cache with space for `room` more tokens.

    Args:
        runs: Sink first, then chunks in time order, all on one device, of one model.
        rotary: The model's rotary module.
        room: Tokens that may still be written behind them.
    """
    positions = place(runs)  # (L, 3, T)

    layers, heads, _, size = runs[0].keys.shape
    tokens = positions.shape[2]
    free = runs[0].keys.new_empty(layers, heads, room, size)
    keys = torch.cat([*(run.keys for run in runs), free], dim=2)
    values = torch.cat([*(run.values for run in runs), free], dim=2)
    is_same = bool((positions == positions[:1]).all())
    for layer in range(layers):
        if layer == 0 or not is_same:
            cos, sin = rotary.cos_sin(positions[layer])  # (T, D)
        keys[layer, :, :tokens] = rotate(keys[layer, :, :tokens], cos, sin)
    return MixedCache(keys, values, tokens, sum(map(width, runs)))
