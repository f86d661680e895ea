"""Both stages of training, on footage that shows nothing: any seed, any device."""

import numpy as np
import pytest
import torch

from agent.vlm import builtin
from training.footage import PAIRS_PER_CHUNK, Footage, tell
from training.labels import ATTRIBUTES
from training.split import Split
from training.streams import Teacher
from training.text_stage import Curriculum, TextStage
from training.train import seed_torch
from training.vision_stage import _Batches

CHUNKS = 8
WORLDS = [Split.TRAIN.world(number) for number in range(3)]
SEEDS = [-1, -(2**70), 2**70]


def make_stage(seed: int) -> TextStage:
    tokenizer = builtin.build_tokenizer()
    module = builtin.build_module(builtin.build_config(tokenizer))
    seed_torch(seed)
    pairs = CHUNKS * PAIRS_PER_CHUNK
    features = torch.randn(
        len(WORLDS), pairs, 16, module.config.text_config.hidden_size
    )
    labels = torch.from_numpy(np.stack([tell(world, pairs) for world in WORLDS]))
    teacher = Teacher(WORLDS, CHUNKS, tokenizer, seed)
    seen = (features.bfloat16(), labels)
    return TextStage(module, tokenizer, teacher, seen, Curriculum(10))


PATCHES = np.random.default_rng(0).integers(0, 256, (2, 10, 64, 384), np.uint8)


def make_batches(seed: int) -> _Batches:
    labels = np.zeros((2, 10, 16, len(ATTRIBUTES)), np.int8)
    return _Batches(Footage([0, 1], 1, PATCHES, labels), (PATCHES, labels), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_whole_number_is_a_seed_of_the_text_stage(seed: int) -> None:
    stage = make_stage(seed)
    loss, _ = stage.loss(1)
    assert torch.isfinite(loss)
    loss.backward()
    other, again = (make_stage(s).deal(1)[1].random(4) for s in (seed + 1, seed))
    assert not np.array_equal(other, again)
    assert np.array_equal(stage.deal(1)[1].random(4), again)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_whole_number_is_a_seed_of_the_vision_stage(seed: int) -> None:
    (patches, _), (again, _) = (make_batches(seed).deal(0) for _ in range(2))
    assert torch.equal(patches, again)
    assert not torch.equal(patches, make_batches(seed + 1).deal(0)[0])


def test_the_draws_of_seeds_from_zero_up_are_those_of_the_shipped_model() -> None:
    wanted = np.random.default_rng((1, 2, 1)).random(4)
    assert np.array_equal(make_stage(1).deal(1)[1].random(4), wanted)
    chosen = np.random.default_rng((1, 1, 7)).integers(20, size=12)
    rows = torch.from_numpy(PATCHES.reshape(20, 64, 384)[chosen])
    dealt, labels = make_batches(1).deal(7)
    assert torch.equal(dealt[:12], rows / 127.5 - 1)
    assert len(dealt) == len(labels) == 48
