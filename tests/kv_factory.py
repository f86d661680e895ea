"""Chunks with random KV, small enough to compare number by number."""

import torch

from memory.kv import KV, ChunkId, ChunkKV, ChunkMemory


class PlainRotary:
    """RoPE as in the paper, on the time row only: the oracle for rotation tests."""

    scaling = 1.0

    def cos_sin(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frequencies = 1.0 / 10000 ** (torch.arange(0, 8, 2) / 8)  # (D / 2,)
        angles = positions[0][:, None] * frequencies  # (S, D / 2)
        both = torch.cat((angles, angles), dim=-1)  # (S, D)
        return both.cos(), both.sin()


def make_kv(tokens: int, *, seed: int = 0, span: int | None = None) -> KV:
    random = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 3, 2, tokens, 8, generator=random)
    positions = torch.arange(tokens).float().expand(3, 3, -1).contiguous()
    return KV(keys, values, positions, span or tokens)


def make_chunk(
    grid: tuple[int, int, int] = (4, 2, 2), *, pinned: int = 2, seed: int = 0
) -> ChunkKV:
    """A chunk of `pinned` text tokens, the visual tokens, and one more text token."""
    visual = grid[0] * grid[1] * grid[2]
    random = torch.Generator().manual_seed(seed)
    return ChunkKV(
        make_kv(pinned + visual + 1, seed=seed),
        pinned + torch.arange(visual),
        torch.randn(visual, 5, generator=random),
        grid,
        torch.arange(visual),
        torch.arange(pinned),
    )


def make_memory(number: int, *, tokens: int = 4, camera: str = "door") -> ChunkMemory:
    id = ChunkId(camera, number * 1000, (number + 1) * 1000)
    index_keys = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(number))
    return ChunkMemory(id, make_kv(tokens, seed=number), index_keys, 2 * tokens)
