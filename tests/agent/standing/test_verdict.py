"""A verdict is the model's own probability of yes and no, however they are written."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_model import make_chunks, make_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from agent.vlm.generation import Reader, question_ids
from agent.vlm.model import VisionLanguageModel
from agent.vlm.verdict import Verdict, YesNo, judge, judge_room
from memory.kv import KV
from memory.rehydration import MixedCache, compose

QUESTION = "was #47 seen ?"


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return make_model()


@pytest.fixture(scope="module")
def runs(model: VisionLanguageModel) -> list[KV]:
    sink = model.prefill_sink()
    return [sink, *(model.prefill(c, [sink]).kv for c in make_chunks((4, 4)))]


def composed(model: VisionLanguageModel, runs: list[KV], words: YesNo) -> MixedCache:
    room = judge_room(model, QUESTION, words)
    return compose(runs, model.rotary, room=room)


def log_prob_by_hand(
    model: VisionLanguageModel, runs: list[KV], words: tuple[int, ...]
) -> float:
    """Run the question and all words before each one anew, over a fresh cache."""
    found, asked = 0.0, question_ids(model, QUESTION)
    for place, token in enumerate(words):
        ids = torch.cat((asked, torch.tensor(words[:place], dtype=torch.long)))
        cache = compose(runs, model.rotary, room=len(ids))
        found += float(model.extend(cache, ids).log_softmax(dim=-1)[token])
    return found


def test_the_verdict_is_the_probability_of_the_first_token(
    model: VisionLanguageModel, runs: list[KV]
) -> None:
    words = YesNo.of(model)
    [[yes]], [[no]] = words.yes, words.no
    cache = composed(model, runs, words)
    verdict = judge(model, Reader(cache, QUESTION, 1), words)
    assert [model.tokenizer.decode([each]) for each in (yes, no)] == ["yes", "no"]
    assert verdict.log_yes == pytest.approx(log_prob_by_hand(model, runs, (yes,)))
    assert verdict.log_no == pytest.approx(log_prob_by_hand(model, runs, (no,)))
    assert verdict.log_odds == verdict.log_yes - verdict.log_no


def test_a_word_of_several_tokens_counts_with_all_of_them(
    model: VisionLanguageModel, runs: list[KV]
) -> None:
    words = YesNo(yes=((400, 7, 31), (12,)), no=((401, 9),))
    verdict = judge(model, Reader(composed(model, runs, words), QUESTION, 3), words)
    ways = [math.exp(log_prob_by_hand(model, runs, way)) for way in words.yes]
    assert verdict.log_yes == pytest.approx(math.log(sum(ways)), abs=1e-4)
    no = log_prob_by_hand(model, runs, (401, 9))
    assert verdict.log_no == pytest.approx(no, abs=1e-4)


def test_a_question_leaves_no_trace_in_the_cache(
    model: VisionLanguageModel, runs: list[KV]
) -> None:
    words = YesNo(yes=((400, 7),), no=((401,),))
    cache = composed(model, runs, words)
    tokens, position = cache.num_tokens, cache.next_position
    first = judge(model, Reader(cache, QUESTION, 2), words)
    judge(model, Reader(cache, "was #12 seen ?", 2), words)
    assert judge(model, Reader(cache, QUESTION, 2), words) == first
    assert (cache.num_tokens, cache.next_position) == (tokens, position)


def test_mass_is_how_likely_one_of_both_is() -> None:
    verdict = Verdict(math.log(0.5), math.log(0.25))
    assert verdict.mass == pytest.approx(0.75)
    assert verdict.log_odds == pytest.approx(math.log(2))


def with_words(model: VisionLanguageModel, *texts: str) -> VisionLanguageModel:
    """The model with a tokenizer of bytes that has merged these words, as big ones."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return replace(model, tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def test_every_way_to_write_an_answer_counts_once(model: VisionLanguageModel) -> None:
    usual = [" yes", "yes", " Yes", "Yes", " no", "no", " No", "No"] * 9
    words = YesNo.of(with_words(model, *usual))
    singles = [way for way in words.yes if len(way) == 1]
    assert len(singles) == 4
    assert len(words.yes) == 5  # and YES, letter by letter
    assert words.most_tokens == 3
    assert len({way[0] for way in words.no}) == len(words.no)


def test_what_begins_with_another_way_is_counted_there(
    model: VisionLanguageModel,
) -> None:
    words = YesNo.of(with_words(model, "Yes"))
    for ways in (words.yes, words.no):
        for way in ways:
            assert not any(way[: len(o)] == o for o in ways if o != way)


def test_a_tokenizer_that_knows_neither_word_is_refused(
    model: VisionLanguageModel,
) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    mute = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    with pytest.raises(ValueError, match="can't tell yes from no"):
        YesNo.of(replace(model, tokenizer=mute))
