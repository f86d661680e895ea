"""Questions that go on from others, and such that name a time."""

from dataclasses import replace

import pytest
import torch
from asking import question
from tiny_model import START_S

from agent.abstention import Abstention
from agent.answerer import MAX_QUESTION_TOKENS, NOT_SURE, Answerer
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


def abstaining(answerer: Answerer, threshold: float) -> Answerer:
    found = Abstention("", 2, threshold, 0.05, 0.95, 100, 0.8)
    return replace(answerer, abstention=found)


async def test_an_answer_that_is_not_sure_is_not_given(answerer: Answerer):
    plain = await answerer.answer(question())
    sure = await abstaining(answerer, 0.0).answer(question())
    assert (plain.confidence, plain.status) == (None, "ok")
    assert (sure.answer, sure.status) == (plain.answer, "ok")
    assert 0 < sure.confidence < 1
    progress = Progress(is_streamed=True)
    unsure = await abstaining(answerer, 1.0).answer(question(), progress)
    assert (unsure.answer, unsure.status) == (NOT_SURE, "unsure")
    assert unsure.confidence == sure.confidence
    assert unsure.evidence == sure.evidence
    text = ""
    async for delta in progress.deltas():
        text = delta.text if delta.seq == 0 else text + delta.text
    assert text == NOT_SURE
