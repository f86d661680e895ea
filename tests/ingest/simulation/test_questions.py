import random

import pytest

from ingest.simulation.questions import Question, QuestionType, ask, in_full_view_s
from ingest.simulation.visit import Colour, Kind, Side, Visit, Waypoint
from ingest.simulation.world import World

WINDOW = (1000.0, 1060.0)


def make_visit(
    plate: int | None,
    start_s: float,
    *,
    kind: Kind = Kind.CAR,
    colour: Colour = Colour.RED,
) -> Visit:
    path = (Waypoint(start_s, -16, 20), Waypoint(start_s + 8, 64, 20))
    return Visit(kind, colour, plate, Side.LEFT, Side.RIGHT, path)


def ask_all(visits: list[Visit], type: QuestionType) -> list[Question]:
    asked = [ask(visits, [WINDOW], type, random.Random(n)) for n in range(40)]
    return [question for question in asked if question is not None]


@pytest.mark.parametrize("type", list(QuestionType))
def test_the_truth_is_judged_right_and_another_answer_wrong(type: QuestionType) -> None:
    world = World(7)
    for start_s in range(0, 3000, 300):
        window = (start_s + 0.5, start_s + 128.5)
        question = ask(world.visits(*window), [window], type, random.Random(start_s))
        if question is not None:
            assert question.is_right(question.answer)
            assert not question.is_right("a pink elephant at 99:99:99")
            assert window[0] <= question.holds[0] < question.holds[1] <= window[1]


def test_the_same_dealer_asks_the_same_question() -> None:
    visits = World(3).visits(*WINDOW)
    asked = [ask(visits, [WINDOW], QuestionType.KIND, random.Random(1)) for _ in "ab"]
    assert asked[0] == asked[1]


def test_nothing_is_asked_about_a_visit_that_was_cut() -> None:
    assert not ask_all([make_visit(47, WINDOW[1] - 4)], QuestionType.COLOUR)
    gap = [(1000.0, 1014.0), (1016.0, 1060.0)]
    visit = make_visit(47, 1010)
    assert ask([visit], gap, QuestionType.COLOUR, random.Random(0)) is None


def test_nothing_is_asked_about_a_plate_that_two_had() -> None:
    twice = [make_visit(47, 1005), make_visit(47, 1030, colour=Colour.BLUE)]
    assert not ask_all(twice, QuestionType.COLOUR)


def test_a_plate_is_asked_by_looks_that_only_one_had() -> None:
    alike = [make_visit(47, 1005), make_visit(None, 1030)]
    assert not ask_all(alike, QuestionType.PLATE)
    asked = ask_all([make_visit(47, 1005)], QuestionType.PLATE)
    assert asked
    assert {question.answer for question in asked} == {"#47"}


def test_seen_is_asked_about_as_many_who_were_not_there() -> None:
    asked = ask_all([make_visit(47, 1005)], QuestionType.SEEN)
    answers = [question.answer for question in asked]
    assert 10 <= answers.count("no") <= 30
    assert all(("#47" in q.text) == (q.answer == "yes") for q in asked)


def test_a_time_is_right_within_the_visit_and_four_seconds_around_it() -> None:
    question = ask_all([make_visit(47, 1005)], QuestionType.WHEN)[0]
    for second, is_right in ((1000, False), (1001, True), (1017, True), (1018, False)):
        stamp = f"<00 :{second // 60:02d} :{second % 60:02d}>"
        assert question.is_right(stamp) is is_right
    assert not question.is_right("at some time")


def test_an_answer_that_names_two_colours_is_wrong() -> None:
    question = ask_all([make_visit(47, 1005)], QuestionType.COLOUR)[0]
    assert question.is_right("It was red.")
    assert not question.is_right("red or blue")


def test_counting_asks_only_about_whole_visits() -> None:
    visits = [make_visit(47, 1005), make_visit(None, 1025)]
    asked = ask_all(visits, QuestionType.COUNT)
    by_text = {q.text: q.answer for q in asked if " from " not in q.text}
    assert {answer for text, answer in by_text.items() if "red" in text} == {"2"}
    assert {answer for text, answer in by_text.items() if "red" not in text} == {"0"}


def test_only_visits_that_ended_in_a_time_are_asked_about_where_one_is_given() -> None:
    visits = [make_visit(47, 1005), make_visit(48, 1030, colour=Colour.BLUE)]
    for type in (QuestionType.COLOUR, QuestionType.PLATE):
        asked = [
            ask(visits, [WINDOW], type, random.Random(n), about=(1020.0, 1060.0))
            for n in range(20)
        ]
        assert {q.happened for q in asked if q is not None} == {(1030, 1038)}


def test_age_counts_from_the_end_of_what_is_asked_about() -> None:
    question = ask_all([make_visit(47, 1005)], QuestionType.COLOUR)[0]
    assert question.age_s(WINDOW[1]) == 47
    assert ask_all([], QuestionType.NOT_SEEN)[0].age_s(WINDOW[1]) is None


def test_a_question_knows_when_its_answer_is_shown_best() -> None:
    visits = [make_visit(47, 1005), make_visit(48, 1030, colour=Colour.BLUE)]
    side, leave, order, count = (
        ask_all(visits, type)[0]
        for type in (
            QuestionType.SIDE,
            QuestionType.LEFT_TO,
            QuestionType.ORDER,
            QuestionType.COUNT,
        )
    )
    assert side.shown[0][0] == side.happened[0]
    assert leave.shown[0] == (leave.happened[1] - 3, leave.happened[1])
    assert order.shown == ((1005, 1013), (1030, 1038))
    assert len(count.shown) == int(count.answer)
    assert ask_all(visits, QuestionType.NOT_SEEN)[0].shown == ()


def test_full_view_begins_when_all_of_it_is_in_the_picture() -> None:
    visit = make_visit(47, 1005)
    x, _ = visit.position(in_full_view_s(visit))
    assert x == 0
