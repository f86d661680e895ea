"""Questions that go on from others, and such that name a time."""

import pytest
import torch
from asking import question
from tiny_model import START_S

from agent.answerer import MAX_QUESTION_TOKENS, Answerer
from agent.messages import Understood
from agent.progress import Progress
from agent.vlm.model import VisionLanguageModel


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("who came in the last hour?", "in the last hour", "who came?"),
        ("between 2 and 3 pm, who came?", "between 2 and 3 pm", "who came?"),
        ("who came yesterday at noon ?", "yesterday ... at noon", "who came?"),
        ("today?", "today", "today?"),
        ("who came?", None, "who came?"),
    ],
)
def test_words_about_time_are_left_out_of_what_is_asked(
    text: str, words: str | None, left: str
):
    understood = Understood(0.0, 1.0, words)
    assert question(text, understood=understood).timeless == left


async def test_an_answer_tells_what_time_was_understood(answerer: Answerer):
    understood = Understood(0.0, None, "since then")
    answer = await answerer.answer(question(understood=understood))
    assert answer.understood == understood


async def test_the_chunk_that_comes_is_no_gap(answerer: Answerer):
    window = {"start_s": START_S, "end_s": START_S + 30}  # six seconds past the last
    [gap] = (await answerer.answer(question(**window))).coverage.gaps
    assert (gap.start_s, gap.kind) == (START_S + 24, "not_watched")
    answerer.sources["door"].is_online = True
    coverage = (await answerer.answer(question(**window))).coverage
    assert coverage.gaps == ()
    assert coverage.watched[-1].end_s == START_S + 24


async def test_an_earlier_question_is_read_and_looked_for_too(answerer: Answerer):
    earlier = (("where did #47 come from ?", "left"),)
    asked, queries = question("and where to ?"), answerer._queries
    alone = queries(asked, Progress())
    both = queries(question("and where to ?", earlier=earlier), Progress())
    assert both.shape[1] > alone.shape[1]
    plain = await answerer.answer(asked)
    follow_up = await answerer.answer(question("and where to ?", earlier=earlier))
    assert (plain.status, follow_up.status) == ("ok", "ok")


async def test_what_was_said_before_never_makes_a_question_too_long(
    answerer: Answerer, model: VisionLanguageModel
):
    long = "where did #47 come from ? " * MAX_QUESTION_TOKENS
    asked = question("and where to ?")
    found = answerer._queries(
        question("and where to ?", earlier=((long, ""),)), Progress()
    )
    assert torch.equal(found, answerer._queries(asked, Progress()))
