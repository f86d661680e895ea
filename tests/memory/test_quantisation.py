import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from memory.quantisation import (
    BITS,
    GROUP_TOKENS,
    Quantised,
    dequantise_by_channel,
    dequantise_by_token,
    quantise_by_channel,
    quantise_by_token,
)

Way = tuple[
    Callable[[Tensor, int], Quantised], Callable[[Quantised, int, torch.dtype], Tensor]
]
WAYS: list[Way] = [
    (quantise_by_channel, dequantise_by_channel),
    (quantise_by_token, dequantise_by_token),
]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@st.composite
def numbers(draw: st.DrawFn) -> Tensor:
    """KV whose channels lie apart and spread as real keys do: far, by magnitudes."""
    heads, tokens = draw(st.integers(1, 3)), draw(st.integers(1, 80))
    size = 2 * draw(st.integers(1, 6))
    random = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    spread = 10 ** draw(st.floats(-4, 2))
    offset = 10 ** draw(st.floats(-4, 3)) * torch.randn(size, generator=random)
    x = torch.randn(heads, tokens, size, generator=random) * spread + offset
    return x.to(draw(st.sampled_from(DTYPES)))


def by_token(parameters: Tensor, x: Tensor) -> Tensor:
    """Each token's parameters, (..., S, D) or (..., S, 1)."""
    if parameters.shape[-1] == 1 and parameters.shape[-2] == x.shape[-2]:
        return parameters.float()
    return parameters.float().repeat_interleave(GROUP_TOKENS, -2)[..., : x.shape[-2], :]


@given(numbers(), st.sampled_from(BITS), st.sampled_from(WAYS))
def test_each_number_is_within_half_a_step(x: Tensor, bits: int, way: Way) -> None:
    quantise, dequantise = way
    made = quantise(x, bits)
    found = dequantise(made, bits, torch.float32)
    arithmetic = 1e-6 * x.float().abs().amax()
    bound = by_token(made.step, x) / 2 + arithmetic
    assert ((found - x.float()).abs() <= bound).all()


@given(numbers(), st.sampled_from(BITS), st.sampled_from(WAYS))
def test_a_step_is_no_larger_than_the_spread_asks_for(
    x: Tensor, bits: int, way: Way
) -> None:
    quantise, _ = way
    made = quantise(x, bits)
    is_by_token = quantise is quantise_by_token
    groups = [x.float()] if is_by_token else list(x.float().split(GROUP_TOKENS, -2))
    dim = -1 if is_by_token else -2
    ranges = [part.amax(dim, keepdim=True) - part.amin(dim, True) for part in groups]
    begins = made.least.float().abs() * 2**-9 + 2**-22  # rounding of the least number
    bound = (torch.cat(ranges, dim=-2) + begins) / (2**bits - 1)
    assert (made.step.float() <= bound * (1 + 2**-8) + 2**-22).all()


def test_codes_are_those_found_one_by_one() -> None:
    x = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(0))
    made = quantise_by_channel(x, 4)
    found = dequantise_by_channel(made, 4, torch.float32)
    for head, token, channel in itertools.product(range(2), range(40), range(6)):
        group = token // GROUP_TOKENS
        least = made.least[head, group, channel].item()
        step = made.step[head, group, channel].item()
        code = min(max(round((x[head, token, channel].item() - least) / step), 0), 15)
        byte = int(made.codes[head, token, channel // 2])
        assert code == (byte >> 4 if channel % 2 else byte & 15)
        assert found[head, token, channel].item() == pytest.approx(least + step * code)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_always_the_same_comes_back(bits: int, way: Way) -> None:
    quantise, dequantise = way
    for x in (torch.full((2, 33, 4), 3.25), torch.zeros(2, 33, 4)):
        assert torch.equal(dequantise(quantise(x, bits), bits, torch.float32), x)


def test_one_loud_channel_does_not_drown_the_others() -> None:
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    x[:, 3] += 150
    channel = dequantise_by_channel(quantise_by_channel(x, 8), 8, torch.float32)
    token = dequantise_by_token(quantise_by_token(x, 8), 8, torch.float32)
    assert (channel - x).abs().max() < 0.02
    assert (token - x).abs().max() > 0.2, "the oracle must see what is avoided"


@pytest.mark.parametrize("way", WAYS)
def test_numbers_beyond_float16_have_a_wider_scale(way: Way) -> None:
    quantise, dequantise = way
    x = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(0)) * 1e6
    made = quantise(x, 8)
    assert made.step.dtype == torch.float32
    assert (dequantise(made, 8, torch.float32) - x).abs().max() <= made.step.max()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_finite_is_refused(bad: float, way: Way) -> None:
    x = torch.zeros(1, 4, 4)
    x[0, 2, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        way[0](x, 8)


def test_an_odd_head_has_no_four_bits() -> None:
    with pytest.raises(ValueError, match="odd size, 5"):
        quantise_by_token(torch.zeros(1, 4, 5), 4)


def test_codes_and_parameters_fit_each_other() -> None:
    codes, least = torch.zeros(1, 4, 4, dtype=torch.uint8), torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match="uint8"):
        Quantised(codes.float(), least, least)
    with pytest.raises(ValueError, match="one shape"):
        Quantised(codes, least, least[..., :3])


@pytest.mark.gpu
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("way", WAYS)
def test_a_gpu_makes_the_same_codes(bits: int, way: Way) -> None:
    x = torch.randn(4, 4, 70, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    here, there = way[0](x, bits), way[0](x.cuda(), bits)
    for part in ("codes", "least", "step"):
        assert torch.equal(getattr(here, part), getattr(there, part).cpu())
