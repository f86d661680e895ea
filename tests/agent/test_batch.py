"""Chunks of several cameras side by side: the same as one by one, in every family."""

import numpy as np
import pytest
import torch
from tiny_families import make_family_model, make_pairs

from agent.vlm.families import FAMILIES
from agent.vlm.model import VisionLanguageModel
from agent.vlm.preprocessing import PatchSettings
from ingest.frame import FrameChunk
from memory.compression.bilevel import LevelSettings
from memory.kv import KV, ChunkKV

ALL = [0.0, 0.0]
CHANGES = [0.0, 0.29, 0.29]  # noise changes by about as much
COARSE = LevelSettings("value_norm", 4)


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return make_family_model(request.param)


def cameras(model: VisionLanguageModel) -> list[FrameChunk]:
    """Chunks of three cameras, of different sizes; times differ, so stamps do."""
    sizes = [(56, 84), (112, 56), (56, 56)]
    if not isinstance(model.patches, PatchSettings):
        sizes = [(40, 60), (60, 40), (50, 50)]
    found = []
    for number, (height, width) in enumerate(sizes):
        [chunk] = make_pairs((4,))
        pixels = np.random.default_rng(number).integers(
            0, 256, (4, height, width, 3), np.uint8
        )
        times_s = chunk.times_s + 60 * number
        end_s = chunk.end_s + 60 * number
        found.append(FrameChunk(f"camera{number}", pixels, times_s, end_s))
    return found


def assert_same(one: ChunkKV, other: ChunkKV) -> None:
    for part in ("keys", "values", "positions"):
        first, second = getattr(one.kv, part), getattr(other.kv, part)
        torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)
    assert one.kv.span == other.kv.span
    assert one.grid == other.grid
    assert torch.equal(one.visual_tokens, other.visual_tokens)
    torch.testing.assert_close(one.features, other.features, atol=1e-4, rtol=1e-4)


def test_chunks_side_by_side_equal_chunks_alone(model: VisionLanguageModel) -> None:
    chunks = cameras(model)
    sink = model.prefill_sink()
    alone = [
        model.prefill(chunk, [sink], least)
        for chunk, least in zip(chunks, CHANGES, strict=True)
    ]
    assert alone[0].num_left_out == 0 < alone[1].num_left_out
    together = model.prefill_batch(chunks, [[sink]] * len(chunks), CHANGES)
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


def test_each_chunk_sees_its_own_context(model: VisionLanguageModel) -> None:
    chunks = cameras(model)[::2]
    sink = model.prefill_sink()
    before = make_pairs((4,))[0]
    contexts: list[list[KV]] = []
    for shade in (40, 200):
        frames = FrameChunk(
            "x", np.full_like(before.pixels, shade), before.times_s, before.end_s
        )
        contexts.append([sink, COARSE.apply(model.prefill(frames, [sink]))])
    alone = [model.prefill(c, x) for c, x in zip(chunks, contexts, strict=True)]
    together = model.prefill_batch(chunks, contexts, ALL)
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)
    swapped = model.prefill_batch(chunks, contexts[::-1], ALL)
    change = (swapped[0].kv.values - alone[0].kv.values).abs().max()
    assert change > 1e-3, "a chunk must see its context"


def test_contexts_may_differ_in_length(model: VisionLanguageModel) -> None:
    chunks = cameras(model)[:2]
    sink = model.prefill_sink()
    longer = [sink, model.prefill_text("some words more", [sink])]
    for contexts in ([[sink], longer], [longer, [sink]]):
        alone = [model.prefill(c, x) for c, x in zip(chunks, contexts, strict=True)]
        together = model.prefill_batch(chunks, contexts, ALL)
        for one, other in zip(alone, together, strict=True):
            assert_same(one, other)
