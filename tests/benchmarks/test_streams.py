from collections import Counter
from itertools import pairwise

import pytest

from benchmarks.streams import AGES, WHOLE, age_of, pace_for, questions_on, take_of
from ingest.simulation.questions import NOTHING, QuestionType
from ingest.simulation.world import World
from training.split import Split

LENGTHS = {32: 1.0, 150: 1.0, 1024: 3 / 18, 2700: 1 / 18}


@pytest.mark.parametrize(("chunks", "pace"), LENGTHS.items())
def test_no_plate_comes_back_within_a_stream(chunks: int, pace: float) -> None:
    assert pace_for(chunks) == pace
    assert World(0, pace).plates_return_s >= 4 * chunks


def test_longer_streams_are_slower() -> None:
    paces = [pace_for(chunks) for chunks in range(1, 3300, 50)]
    assert all(a >= b for a, b in pairwise(paces))
    with pytest.raises(ValueError, match="any pace"):
        pace_for(4000)


def test_a_stream_too_short_for_a_visit_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.streams._SEARCHES", 2)
    with pytest.raises(ValueError, match="too few to ask about"):
        take_of(Split.VALIDATION.world(0), 1)


@pytest.mark.parametrize(("chunks", "oldest"), [(32, 2), (1024, 3), (2700, 4)])
def test_every_age_is_asked_about(chunks: int, oldest: int) -> None:
    ages: Counter[str] = Counter()
    for number in range(4):
        take = take_of(Split.VALIDATION.world(number), chunks)
        ages.update(age_of(question, take) for question in questions_on(take, 1))
    assert set(ages) == {*list(AGES)[: oldest + 1], WHOLE}
    assert min(ages.values()) >= 6


@pytest.mark.parametrize("chunks", [32, 1024])
def test_a_stream_ends_where_there_is_something_to_ask_about_now(chunks: int) -> None:
    for number in range(6):
        take = take_of(Split.VALIDATION.world(number), chunks)
        questions = questions_on(take, 1)
        now = [q for q in questions if q.type is QuestionType.NOW]
        if number % 2:
            is_new = age_of(questions[0], take) == "now"
            assert is_new
        else:
            assert [q.answer == NOTHING for q in now] == [False]


def test_all_that_is_asked_was_watched_and_asked_once() -> None:
    take = take_of(Split.VALIDATION.world(3), 128)
    questions = questions_on(take, 2)
    start_s, end_s = take.window
    texts = Counter((q.type, q.text) for q in questions)
    assert max(texts.values()) == 1
    for question in questions:
        for shown in question.shown:
            assert start_s - 1e-3 <= shown[0] < shown[1] <= end_s + 1e-3


def test_as_many_plates_are_asked_for_that_were_not_there() -> None:
    take = take_of(Split.VALIDATION.world(1), 1024)
    seen = [q for q in questions_on(take, 2) if q.type is QuestionType.SEEN]
    answers = Counter(q.answer for q in seen)
    assert answers["yes"] == answers["no"] >= 4


def test_the_same_world_is_asked_the_same() -> None:
    take = take_of(Split.VALIDATION.world(5), 32)
    again = take_of(Split.VALIDATION.world(5), 32)
    assert take == again
    assert questions_on(take, 1) == questions_on(again, 1)
