"""KV in fewer bits: keys per channel, values per token, both asymmetric.

Keys have channels that are large in every token, so that a scale shared by channels
would drown the others; values have none (KIVI, arXiv 2402.02750; KVQuant, arXiv
2401.18079, does keys before RoPE, which mixes channels, as they are here). A group of
numbers x is told by its least number, a step and a code for each:

    code = round((x - least) / step), 0 to 2^bits - 1        x ~ least + code * step

`least` and `step` are rounded to float16 before the codes are found, so that their
rounding is in no number read back: each is within half a step of what it was.

    L  layers    H  key-value heads    S  tokens    D  head size
    G  groups of tokens, of `GROUP_TOKENS` each; the last one may have fewer
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GROUP_TOKENS = 32
BITS = (4, 8)
_TINY = 1e-30  # in place of a step of zero


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """Numbers as codes.

    Attributes:
        codes: (..., S, D) uint8; of 4 bits two in a byte, (..., S, D / 2), the first of
            them in its lower half.
        least: Of each group: (..., G, D) if by channel, (..., S, 1) if by token.
        step: As `least`.
    """

    codes: Tensor
    least: Tensor
    step: Tensor

    def __post_init__(self) -> None:
        if self.codes.dtype != torch.uint8:
            raise ValueError(f"codes are uint8, not {self.codes.dtype}")
        if self.least.shape != self.step.shape:
            shapes = f"{tuple(self.least.shape)} and {tuple(self.step.shape)}"
            raise ValueError(f"least and step are of one shape, not {shapes}")


def quantise_by_channel(x: Tensor, bits: int) -> Quantised:
    """Quantise keys (..., S, D) channel by channel in groups of tokens.

    Raises:
        ValueError: A number is not finite, or D is odd and `bits` 4.
    """
    groups = x.float().split(GROUP_TOKENS, dim=-2)
    ends = [group.aminmax(dim=-2) for group in groups]
    low = torch.stack([end.min for end in ends], dim=-2)  # (..., G, D)
    high = torch.stack([end.max for end in ends], dim=-2)  # (..., G, D)
    least, step = _parameters(low, high, bits)
    each = zip(groups, least.split(1, dim=-2), step.split(1, dim=-2), strict=True)
    codes = torch.cat([_codes(*group, bits) for group in each], dim=-2)
    return Quantised(codes, least, step)


def quantise_by_token(x: Tensor, bits: int) -> Quantised:
    """Quantise values (..., S, D) token by token.

    Raises:
        ValueError: As for `quantise_by_channel`.
    """
    x = x.float()
    low, high = x.aminmax(dim=-1, keepdim=True)  # (..., S, 1)
    least, step = _parameters(low, high, bits)
    return Quantised(_codes(x, least, step, bits), least, step)


def dequantise_by_channel(found: Quantised, bits: int, dtype: torch.dtype) -> Tensor:
    """Give back keys, (..., S, D)."""
    groups = found.codes.split(GROUP_TOKENS, dim=-2)
    least, step = found.least.split(1, dim=-2), found.step.split(1, dim=-2)
    each = zip(groups, least, step, strict=True)
    return torch.cat([_numbers(*group, bits, dtype) for group in each], dim=-2)


def dequantise_by_token(found: Quantised, bits: int, dtype: torch.dtype) -> Tensor:
    """Give back values, (..., S, D)."""
    return _numbers(found.codes, found.least, found.step, bits, dtype)


def _parameters(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Give `least` and `step` as they are stored, reaching from low to high."""
    if not (low.isfinite().all() and high.isfinite().all()):
        raise ValueError("a number is not finite: it can't be quantised")
    largest = torch.maximum(low.abs().amax(), (high - low).abs().amax())
    dtype = torch.float16 if largest < 6e4 else torch.float32
    least = _rounded(low, dtype, up=False)
    step = _rounded((high - least.float()) / (2**bits - 1), dtype, up=True)
    return least, step


def _rounded(x: Tensor, dtype: torch.dtype, *, up: bool) -> Tensor:
    """Round to a dtype, and never to the wrong side."""
    near = x.to(dtype)
    ulp = x.abs() * 2**-10 + 2**-24  # at least one of float16, denormal or not
    is_wrong = near.float() < x if up else near.float() > x
    return torch.where(is_wrong, (x + ulp if up else x - ulp).to(dtype), near)


def _codes(x: Tensor, least: Tensor, step: Tensor, bits: int) -> Tensor:
    spread = (x - least).div_(step.float().clamp(min=_TINY))
    codes = spread.round_().clamp_(0, 2**bits - 1).to(torch.uint8)  # (..., S, D)
    if bits == 8:
        return codes
    if codes.shape[-1] % 2:
        raise ValueError(f"a head of odd size, {codes.shape[-1]}, has no 4-bit codes")
    return codes[..., ::2] | codes[..., 1::2] << 4


def _numbers(
    codes: Tensor, least: Tensor, step: Tensor, bits: int, dtype: torch.dtype
) -> Tensor:
    if bits == 4:
        codes = torch.stack((codes & 15, codes >> 4), dim=-1).flatten(-2)
    return codes.float().mul_(step).add_(least).to(dtype)
