"""Sampling against the stock `generate` over the same tokens."""

from collections.abc import Sequence

import pytest
import torch
from tiny_model import make_chunks, stock_inputs

from agent.config_sections import AnswersConfig
from agent.vlm.generation import Reader, decode, decode_room
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import GREEDY, Sampling, choose_by
from ingest.frame import FrameChunk
from memory.rehydration import compose

QUESTION, NEW_TOKENS = "where did #47 come from ?", 12
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def chunks() -> list[FrameChunk]:
    return make_chunks((8,))


def say(
    model: VisionLanguageModel, chunks: Sequence[FrameChunk], sampling: Sampling
) -> list[int]:
    sink = model.prefill_sink()
    runs = [sink, *(model.prefill(chunk, [sink]).kv for chunk in chunks)]
    room = decode_room(model, QUESTION, NEW_TOKENS)
    cache = compose(runs, model.rotary, room=room)
    reader = Reader(cache, QUESTION, NEW_TOKENS, sampling=sampling)
    return list(decode(model, reader))


@pytest.mark.parametrize(
    "sampling", [Sampling(0.7, 0.9, 1), Sampling(1.5, 1.0, 2), Sampling(2, 0.5, 3)]
)
def test_sampling_draws_what_stock_generate_draws(
    model: VisionLanguageModel, chunks: list[FrameChunk], sampling: Sampling
) -> None:
    inputs = stock_inputs(model, chunks, QUESTION)
    torch.manual_seed(sampling.seed or 0)
    tokens = model.module.generate(
        **inputs,
        max_new_tokens=NEW_TOKENS,
        do_sample=True,
        temperature=float(sampling.temperature),
        top_p=sampling.top_p,
        top_k=0,
    )
    model.module.model.rope_deltas = None
    theirs = tokens[0, inputs["input_ids"].shape[1] :].tolist()
    ended = [token for token in theirs if token not in model.prompt.stop_ids]
    ours = say(model, chunks, sampling)
    assert ours == ended
    assert ours != say(model, chunks, GREEDY), "the oracle must see that chance is used"


def test_a_seed_gives_one_answer_and_no_seed_many(
    model: VisionLanguageModel, chunks: list[FrameChunk]
) -> None:
    def answers(seed: int | None) -> set[tuple[int, ...]]:
        hot = Sampling(2.0, 1.0, seed)
        return {tuple(say(model, chunks, hot)) for _ in range(4)}

    assert len(answers(5)) == 1
    assert len(answers(None)) > 1
    assert answers(5) != answers(6)


def test_sampling_leaves_the_process_random_state_alone() -> None:
    before = torch.get_rng_state()
    choose_by(Sampling(1.0, 0.9, 1), CPU)(torch.ones(16))
    assert torch.equal(torch.get_rng_state(), before)


def test_top_p_leaves_out_the_unlikely() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = choose_by(Sampling(1.0, 0.75, 0), CPU)
    assert {drawn(logits) for _ in range(200)} == {0, 1}
    drawn = choose_by(Sampling(1.0, 1.0, 0), CPU)
    assert {drawn(logits) for _ in range(200)} == {0, 1, 2, 3}


def test_the_smallest_temperature_is_greedy_in_effect() -> None:
    logits = torch.linspace(-1e4, 1e4, 64)
    assert choose_by(Sampling(0.01, 0.9, 0), CPU)(logits) == 63


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": 1e-4}, {"top_p": 0}, {"top_p": 1.1}]
)
def test_settings_that_mean_nothing_are_refused_in_both_places(
    wrong: dict[str, float],
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AnswersConfig(**wrong)


def test_the_config_says_what_the_model_layer_takes() -> None:
    drawn = AnswersConfig().model_dump(exclude={"abstain"})
    assert Sampling(**drawn) == GREEDY
