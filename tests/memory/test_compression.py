import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kv_factory import make_chunk

from memory.compression.bilevel import METHODS, LevelSettings
from memory.compression.novelty import feature_novelty, keep_novel
from memory.compression.pooling import pool_tokens
from memory.compression.selection import select_tokens, take_tokens
from memory.compression.summary import keep_summaries
from memory.compression.value_norm import value_norms
from memory.kv import ChunkKV

TRAINING_FREE = sorted(set(METHODS) - {"summary"})


@given(
    method=st.sampled_from(TRAINING_FREE),
    factor=st.floats(1, 40),
    frames=st.integers(1, 4),
    side=st.integers(1, 3),
    pinned=st.integers(0, 3),
)
def test_every_method_keeps_tokens_over_factor_in_every_layer(
    method: str, factor: float, frames: int, side: int, pinned: int
) -> None:
    chunk = make_chunk((frames, side, side), pinned=pinned)
    tokens = chunk.kv.num_tokens
    kept = LevelSettings(method, factor).apply(chunk)
    wanted = max(math.ceil(tokens / factor), pinned + 1)
    assert kept.num_tokens == min(wanted, tokens) or (
        method == "pooling" and kept.num_tokens <= wanted
    )
    assert kept.keys.shape[0] == chunk.kv.keys.shape[0]
    assert kept.span == chunk.kv.span
    stamp = chunk.kv.keys[:, :, chunk.pinned_tokens]
    assert torch.equal(kept.keys[:, :, :pinned], stamp)


@pytest.mark.parametrize("method", TRAINING_FREE)
def test_factor_one_changes_nothing(method: str) -> None:
    chunk = make_chunk()
    kept = LevelSettings(method, 1).apply(chunk)
    assert torch.equal(kept.keys, chunk.kv.keys)
    assert torch.equal(kept.values, chunk.kv.values)
    assert torch.equal(kept.positions, chunk.kv.positions)


def test_selection_keeps_the_highest_scores_in_time_order() -> None:
    chunk = make_chunk((1, 2, 2), pinned=1)
    scores = torch.tensor([0.1, 0.9, 0.2, 0.8])
    kept = select_tokens(chunk, scores, 3)
    assert torch.equal(kept.keys, chunk.kv.keys[:, :, [0, 2, 4]])
    assert kept.positions[0, 0].tolist() == [0, 2, 4]


def test_selection_takes_the_other_text_only_after_all_visual_tokens() -> None:
    chunk = make_chunk((1, 2, 2), pinned=1)
    kept = select_tokens(chunk, torch.zeros(4), 5)
    assert torch.equal(kept.keys, chunk.kv.keys[:, :, :5])


def test_novelty_finds_what_moved() -> None:
    chunk = make_chunk((5, 2, 2))
    still = torch.ones(5, 4, 5)
    still[3, 2] += 7.0
    moved = ChunkKV(
        chunk.kv,
        chunk.visual_tokens,
        still.view(20, 5),
        chunk.grid,
        chunk.places,
        chunk.pinned_tokens,
    )
    novelty = feature_novelty(moved).view(5, 4)
    assert novelty[3, 2] == pytest.approx(7 * 5**0.5)
    assert novelty.sum() == pytest.approx(novelty[3, 2].item())
    kept = keep_novel(moved, 3)
    token = moved.visual_tokens[3 * 4 + 2]
    assert torch.equal(kept.keys[:, :, 2], moved.kv.keys[:, :, token])


def test_value_norm_is_the_mean_over_layers_and_heads() -> None:
    chunk = make_chunk((1, 2, 2), pinned=0)
    slow = [
        sum(
            chunk.kv.values[layer, head, token].norm().item()
            for layer in range(3)
            for head in range(2)
        )
        / 6
        for token in chunk.visual_tokens
    ]
    assert value_norms(chunk).tolist() == pytest.approx(slow, rel=1e-5)


def test_pooling_averages_the_same_place_over_time() -> None:
    chunk = make_chunk((4, 2, 2), pinned=2)
    pooled = pool_tokens(chunk, 2 + 4)
    for place in range(4):
        group = 2 + place + 4 * torch.arange(4)
        by_hand = chunk.kv.keys[:, :, group].mean(dim=2)
        torch.testing.assert_close(pooled.keys[:, :, 2 + place], by_hand)
        middle = chunk.kv.positions[:, :, group].mean(dim=2)
        torch.testing.assert_close(pooled.positions[:, :, 2 + place], middle)


def leave_out(chunk: ChunkKV, places: Sequence[int]) -> ChunkKV:
    """The chunk as if these places had not been prefilled."""
    stays = torch.isin(chunk.places, torch.tensor(places), invert=True)
    tokens = torch.ones(chunk.kv.num_tokens, dtype=torch.bool)
    tokens[chunk.visual_tokens[~stays]] = False
    return replace(
        chunk,
        kv=take_tokens(chunk.kv, tokens.nonzero()[:, 0]),
        visual_tokens=(tokens.cumsum(0) - 1)[chunk.visual_tokens[stays]],
        features=chunk.features[stays],
        places=chunk.places[stays],
    )


def test_novelty_takes_an_empty_place_to_show_what_it_last_showed() -> None:
    whole = make_chunk((5, 2, 2))
    features = whole.features.clone()
    features[[4, 8, 9, 13]] = features[[0, 0, 5, 5]]  # as the one before in its place
    part = leave_out(replace(whole, features=features), [4, 8, 9, 13])
    novelty = feature_novelty(replace(whole, features=features))
    assert part.num_left_out == 4
    torch.testing.assert_close(feature_novelty(part), novelty[part.places])


def test_pooling_averages_what_is_there_of_each_place() -> None:
    chunk = leave_out(make_chunk((3, 1, 2), pinned=1), [2, 5])
    pooled = pool_tokens(chunk, 1 + 2)
    for place, tokens in enumerate(([1, 4], [2, 3])):
        by_hand = chunk.kv.keys[:, :, tokens].mean(dim=2)
        torch.testing.assert_close(pooled.keys[:, :, 1 + place], by_hand)


@pytest.mark.parametrize("method", TRAINING_FREE)
def test_what_was_left_out_before_makes_a_level_no_smaller(method: str) -> None:
    whole = make_chunk((4, 2, 2))
    part = leave_out(whole, [4, 5, 8, 9, 10])
    for factor, kept in ((4, 5), (1.5, 13), (1, 14)):
        level = LevelSettings(method, factor)
        assert level.apply(whole).num_tokens >= level.apply(part).num_tokens == kept


def test_a_chunk_with_an_empty_first_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="3 visual tokens"):
        leave_out(make_chunk((2, 2, 2)), [3, 4, 5, 6, 7])


@pytest.mark.parametrize(
    ("method", "factor", "message"),
    [("zip", 2, "novelty"), ("novelty", 0.5, "at least 1")],
)
def test_wrong_compression_is_named(method: str, factor: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LevelSettings(method, factor)


def test_summaries_are_kept_by_the_set_that_fits() -> None:
    chunk = replace(
        make_chunk((2, 2, 2)), summaries=(torch.tensor([1, 5]), torch.tensor([2, 3, 6]))
    )
    for budget, kept in ((1, [1, 5]), (2, [1, 5]), (3, [2, 3, 6]), (9, [2, 3, 6])):
        keys = keep_summaries(chunk, budget).keys
        assert torch.equal(keys, chunk.kv.keys[:, :, kept])


def test_a_model_that_writes_no_summaries_is_told_so() -> None:
    with pytest.raises(ValueError, match="no summary tokens"):
        keep_summaries(make_chunk(), 4)
