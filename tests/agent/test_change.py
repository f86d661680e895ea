"""Visual tokens that hardly changed are left out before the language model."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_families import make_family_model, make_pairs

from agent.vlm.change import changed_tokens
from agent.vlm.families import FAMILIES
from agent.vlm.model import VisionLanguageModel
from ingest.frame import FrameChunk
from memory.kv import ChunkKV
from memory.rope import unrotate

GRID = (4, 2, 3)
LEAST = 0.05


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return make_family_model(request.param)


def still(frames: int = 8, side: int = 56) -> NDArray[np.uint8]:
    one = np.random.default_rng(5).integers(0, 256, (side, 3 * side // 2, 3), np.uint8)
    return np.stack([one] * frames)


def lit(pixels: NDArray[np.uint8], frame: int, row: int, column: int) -> None:
    """Turn a place of the 2 x 3 grid dark or bright in one frame."""
    size = pixels.shape[1] // 2
    part = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
    pixels[frame][part] = 255 - pixels[frame][part]


def test_a_still_scene_keeps_its_first_frame_alone() -> None:
    changed = changed_tokens(still(), GRID, LEAST).reshape(GRID)
    assert changed[0].all()
    assert not changed[1:].any()


def test_at_zero_all_is_kept() -> None:
    assert changed_tokens(still(), GRID, 0.0).all()


def test_what_appears_and_what_is_there_again_behind_it_are_kept() -> None:
    pixels = still()
    lit(pixels, 3, 1, 2)  # in the second half of the second token's two frames
    changed = changed_tokens(pixels, GRID, LEAST).reshape(GRID)
    assert np.argwhere(changed[1:]).tolist() == [[0, 1, 2], [1, 1, 2]]


def test_what_changes_slowly_is_kept_once_it_differs_from_what_was_kept() -> None:
    steps = np.arange(8)[:, None, None, None]  # 0.02 of full brightness a frame
    pixels = np.broadcast_to(40 + 5 * steps, (8, 40, 60, 3)).astype(np.uint8)
    changed = changed_tokens(pixels, (8, 2, 3), 0.045).reshape(8, -1)
    assert changed[:, 0].tolist() == [True, False, False] * 2 + [True, False]


def test_noise_of_a_camera_is_no_change_and_a_small_thing_is() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (8, 56, 84, 3))
    pixels = (still() * 0.5 + 60 + noise).clip(0, 255).astype(np.uint8)
    pixels[4:6, 4:16, 4:16] = (255, 0, 0)  # a fifth of one token's place
    changed = changed_tokens(pixels, GRID, LEAST).reshape(GRID)
    assert np.argwhere(changed[1:]).tolist() == [[1, 0, 0], [2, 0, 0]]


@given(levels=st.integers(0, 100), seed=st.integers(0, 99), frames=st.integers(1, 8))
def test_what_is_left_out_is_like_the_last_one_kept(
    levels: int, seed: int, frames: int
) -> None:
    """Against the same rule written place by place, on plain colours."""
    least = (levels + 0.5) / 255
    shown = np.random.default_rng(seed).integers(0, 256, (frames, 2, 3))
    pixels = shown.repeat(8, 1).repeat(8, 2)[..., None].repeat(3, -1).astype(np.uint8)
    changed = changed_tokens(pixels, (frames, 2, 3), least).reshape(frames, 2, 3)
    for row, column in product(range(2), range(3)):
        kept = shown[0, row, column]
        for frame in range(1, frames):
            now = shown[frame, row, column]
            assert changed[frame, row, column] == (abs(now - kept) > levels)
            kept = now if changed[frame, row, column] else kept


def scene(model: VisionLanguageModel) -> FrameChunk:
    """A still scene in which one corner changes in the middle."""
    [chunk] = make_pairs((8,))
    pixels = still(8, 112)
    pixels[4:, :40, :40] = 255 - pixels[4:, :40, :40]
    return FrameChunk("door", pixels, chunk.times_s, chunk.end_s)


def masked(
    model: VisionLanguageModel, chunk: FrameChunk, part: ChunkKV
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The slow way: run all tokens, and let none look at those that are left out."""
    config, family = model.module.config, model.family
    layout = family.lay_out(chunk.times_s, part.grid, config, model.tokenizer)
    everything = torch.arange(len(layout.visual_tokens))
    seen = family.see(model.module, [chunk.pixels], [everything], model.patches)
    sink = model.tokenize(model.prompt.before)
    stays = torch.ones(len(sink) + len(layout.token_ids), dtype=torch.long)
    missing = torch.isin(everything, part.places, invert=True)
    stays[len(sink) + layout.visual_tokens[missing]] = 0
    before = torch.arange(len(sink)).float().expand(3, -1)
    positions = torch.cat((before, layout.positions + len(sink)), dim=1)
    with torch.inference_mode():
        out = model.module.model(
            input_ids=torch.cat((sink, layout.token_ids))[None],
            attention_mask=stays[None],
            position_ids=model.rotary.position_ids(positions[:, None]),
            use_cache=True,
            mm_encoder_outputs=seen.outputs,
        )
    cos, sin = model.rotary.cos_sin(positions)
    keys = torch.cat([layer.keys for layer in out.past_key_values.layers])
    values = torch.cat([layer.values for layer in out.past_key_values.layers])
    chosen = stays.bool()
    chosen[: len(sink)] = False
    plain = unrotate(keys, cos, sin, model.rotary.scaling)
    placed = positions[:, chosen] - len(sink)
    return plain[:, :, chosen], values[:, :, chosen], placed


def test_kv_is_that_of_a_run_in_which_nobody_looks_at_what_is_left_out(
    model: VisionLanguageModel,
) -> None:
    chunk = scene(model)
    sink = model.prefill_sink()
    part = model.prefill(chunk, [sink], LEAST)
    assert part.num_left_out > 0
    keys, values, positions = masked(model, chunk, part)
    torch.testing.assert_close(part.kv.keys, keys, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(part.kv.values, values, atol=1e-4, rtol=1e-4)
    assert torch.equal(part.kv.positions[0], positions)
    whole = model.prefill(chunk, [sink])
    change = (whole.kv.values[:, :, -1] - part.kv.values[:, :, -1]).abs().max()
    assert change > 1e-3, "the mask must be seen to matter"
    assert part.kv.span == whole.kv.span
    assert torch.equal(part.features, whole.features[part.places])


def test_a_picture_that_changes_everywhere_is_prefilled_whole(
    model: VisionLanguageModel,
) -> None:
    chunk, sink = scene(model), model.prefill_sink()
    noise = np.random.default_rng(0).integers(0, 256, chunk.pixels.shape, np.uint8)
    moving = FrameChunk("door", noise, chunk.times_s, chunk.end_s)
    one, other = (model.prefill(moving, [sink], least) for least in (0.0, LEAST))
    assert torch.equal(one.kv.keys, other.kv.keys)
    assert one.num_left_out == other.num_left_out == 0
