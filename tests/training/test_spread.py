"""Where a lesson's chunks stand, against where the product puts them."""

import numpy as np
import torch

from memory.kv import KV
from memory.rehydration import place
from training.reading import Places, place_stream
from training.spread import Spread

SPAN, TOKENS = 36, 40


def test_a_close_stream_stands_chunk_behind_chunk() -> None:
    spread = Spread.close(torch.tensor([[SPAN, SPAN, SPAN], [SPAN, 4, 7]]))
    assert spread.starts.tolist() == [[0, 36, 72], [0, 36, 40]]
    assert spread.ends.tolist() == [108, 47]


def test_a_step_always_deals_the_same_and_no_chunk_stands_before_another() -> None:
    one, other = (
        Spread.deal(np.random.default_rng((0, 2, 5)), 64, 16, SPAN) for _ in range(2)
    )
    torch.testing.assert_close(one.starts, other.starts)
    assert (one.starts.diff(dim=1) >= one.widths[:, :-1]).all()
    assert (one.ends >= one.starts[:, -1] + one.widths[:, -1]).all()


def test_some_streams_are_natural_some_close_and_some_far_apart() -> None:
    spread = Spread.deal(np.random.default_rng(0), 400, 16, SPAN)
    natural = 16 * SPAN
    parts = [
        (spread.ends == natural).float().mean().item(),
        (spread.ends < natural).float().mean().item(),
        (spread.ends > natural).float().mean().item(),
    ]
    np.testing.assert_allclose(parts, (0.5, 0.3, 0.2), atol=0.08)
    assert 10_000 < spread.ends.max() <= natural + 60_000


def test_a_coarse_chunk_stands_where_the_product_puts_it() -> None:
    positions = torch.arange(float(TOKENS)).expand(3, -1) * SPAN / TOKENS
    positions = positions + torch.tensor([[0.0], [1.0], [2.0]])
    kept = torch.arange(0, TOKENS, 7)
    keys = torch.zeros(1, 1, len(kept), 4)
    run = KV(keys, keys, positions[None, :, kept], SPAN)
    none = torch.zeros(1, 1, 5 + SPAN, 4)
    before = KV(none, none, torch.zeros(1, 3, 5 + SPAN), 5 + SPAN)
    widths = torch.tensor([[SPAN, len(kept)]])
    placed = place_stream(Places(positions, SPAN), Spread.close(widths), sink=5)
    ours = placed[:, 0, 5 + TOKENS :][:, kept]
    torch.testing.assert_close(ours, place([before, run])[0, :, 5 + SPAN :])
