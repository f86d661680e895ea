"""Rotary position embedding on stored keys: rotate, and take the rotation off again.

A cache holds keys after RoPE, memory holds them before it. All arithmetic is in
float32: rotating in bfloat16 adds more error than storing in bfloat16 does.
"""

from typing import Protocol

import torch
from torch import Tensor


class Rotary(Protocol):
    """The model's own rotary module, whatever its layout of time, height and width."""

    @property
    def scaling(self) -> float:
        """Factor that is multiplied into cos and sin (1 unless RoPE is scaled)."""

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cos and sin, each (S, D) float32, for positions (3, S)."""


def rotate(keys: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply RoPE to pre-RoPE keys (..., S, D) with cos and sin (S, D), in float32."""
    wide = keys.float()
    return (wide * cos + _rotate_half(wide) * sin).to(keys.dtype)


def unrotate(keys: Tensor, cos: Tensor, sin: Tensor, scaling: float) -> Tensor:
    """Take RoPE off post-RoPE keys (..., S, D): the inverse of `rotate`, in float32.

    cos and sin carry `scaling`, so the transposed rotation carries it twice.
    """
    wide = keys.float()
    turned_back = wide * cos - _rotate_half(wide) * sin
    return (turned_back / scaling**2).to(keys.dtype)


def _rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)
