"""Several questions decoded side by side: each as if alone, in every family."""

from collections.abc import Sequence

import pytest
import torch
from tiny_families import make_family_model, make_pairs

from agent.vlm.batch import Batch
from agent.vlm.families import FAMILIES
from agent.vlm.generation import (
    Reader,
    decode,
    decode_room,
    decode_together,
    question_ids,
)
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import Sampling
from memory.kv import KV
from memory.rehydration import MixedCache, compose

NEW_TOKENS = 8
QUESTIONS = ("where did #47 come from ?", "when ?", "what is the colour of the car ?")


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return make_family_model(request.param)


def memories(model: VisionLanguageModel) -> list[list[KV]]:
    """What three questions read: of different length."""
    sink = model.prefill_sink()
    kvs = [model.prefill(chunk, [sink]).kv for chunk in make_pairs((4, 4, 4))]
    return [[sink, *kvs], [sink, kvs[1]], [sink, kvs[0], kvs[2]]]


def composed(
    model: VisionLanguageModel, runs: Sequence[KV], question: str
) -> MixedCache:
    room = decode_room(model, question, NEW_TOKENS)
    return compose(runs, model.rotary, room=room)


def readers(model: VisionLanguageModel, **more: object) -> list[Reader]:
    return [
        Reader(composed(model, runs, question), question, NEW_TOKENS, **more)  # type: ignore[arg-type]
        for runs, question in zip(memories(model), QUESTIONS, strict=True)
    ]


def together(model: VisionLanguageModel, asked: Sequence[Reader]) -> list[list[int]]:
    said: list[list[int]] = [[] for _ in asked]
    ended = []
    for number, token in decode_together(model, asked):
        assert number not in ended, "nothing comes after the end"
        if token is None:
            ended.append(number)
        else:
            said[number].append(token)
    assert sorted(ended) == list(range(len(asked)))
    return said


def test_logits_are_those_of_each_alone(model: VisionLanguageModel) -> None:
    asked = readers(model)
    batch = Batch.of([r.cache for r in asked], room=64)
    texts = [question_ids(model, reader.question) for reader in asked]
    steps = [texts, *([torch.tensor([7 + n])] * 3 for n in range(3))]
    assert len({len(text) for text in texts}) > 1, "questions must differ in length"
    for step in steps:
        logits = model.extend_batch(batch, step)
        alone = [model.extend(r.cache, t) for r, t in zip(asked, step, strict=True)]
        torch.testing.assert_close(logits, torch.stack(alone), atol=1e-4, rtol=1e-4)


def test_each_says_what_it_says_alone(model: VisionLanguageModel) -> None:
    alone = [list(decode(model, reader)) for reader in readers(model)]
    assert together(model, readers(model)) == alone
    assert len({tuple(answer) for answer in alone}) > 1


def test_chance_is_each_readers_own(model: VisionLanguageModel) -> None:
    drawn = Sampling(1.5, 0.9, 3)
    alone = [list(decode(model, r)) for r in readers(model, sampling=drawn)]
    assert together(model, readers(model, sampling=drawn)) == alone
    assert alone != together(model, readers(model))


def test_memory_never_written_to_is_never_read(model: VisionLanguageModel) -> None:
    asked = readers(model)
    for reader in asked:
        cache = reader.cache
        cache.keys[:, :, cache.num_tokens :] = torch.nan
        cache.values[:, :, cache.num_tokens :] = torch.nan
    batch = Batch.of([reader.cache for reader in asked], room=64)
    texts = [question_ids(model, reader.question) for reader in asked]
    assert model.extend_batch(batch, texts).isfinite().all()
    assert model.extend_batch(batch, [t[:1] for t in texts]).isfinite().all()


def test_one_that_is_cancelled_or_short_leaves_the_others(
    model: VisionLanguageModel,
) -> None:
    first, second, third = (list(decode(model, r)) for r in readers(model))
    asked = readers(model)
    calls = iter([False, False, True])
    asked[0] = Reader(asked[0].cache, QUESTIONS[0], 1)
    asked[1] = Reader(asked[1].cache, QUESTIONS[1], NEW_TOKENS, lambda: next(calls))
    assert together(model, asked) == [first[:1], second[:2], third]


def test_one_cancelled_before_it_began_says_nothing(model: VisionLanguageModel) -> None:
    asked = readers(model)
    asked[0] = Reader(asked[0].cache, QUESTIONS[0], NEW_TOKENS, lambda: True)
    first, *others = together(model, asked)
    assert first == []
    assert others == [list(decode(model, r)) for r in readers(model)[1:]]
