"""Every type's answers, ages and times against visits whose truth is written by hand.

    plate  what        way              seen, s after 1000   in full view from
    47     red car     left to right    5 to 13              6.6
    83     blue truck  top to bottom    20 to 30             21.6
    15     white dog   right and back   35 to 45             37.3
    none   red person  bottom to left   48 to 56

1000 s after midnight is 00:16:40.
"""

import random
import re

import pytest

from ingest.simulation.questions import Question, QuestionType, Window, ask
from ingest.simulation.visit import Colour, Kind, Side, Visit, Waypoint

WINDOW = (1000.0, 1060.0)
CAR = Visit(
    *(Kind.CAR, Colour.RED, 47, Side.LEFT, Side.RIGHT),
    path=(Waypoint(1005, -16, 20), Waypoint(1013, 64, 20)),
)
TRUCK = Visit(
    *(Kind.TRUCK, Colour.BLUE, 83, Side.TOP, Side.BOTTOM),
    path=(Waypoint(1020, 24, -12), Waypoint(1030, 24, 64)),
)
DOG = Visit(
    *(Kind.DOG, Colour.WHITE, 15, Side.RIGHT, Side.RIGHT),
    path=(Waypoint(1035, 64, 33), Waypoint(1040, 30, 33), Waypoint(1045, 64, 33)),
)
PERSON = Visit(
    *(Kind.PERSON, Colour.RED, None, Side.BOTTOM, Side.LEFT),
    path=(Waypoint(1048, 30, 64), Waypoint(1052, 30, 30), Waypoint(1056, -16, 30)),
)
VISITS = [CAR, TRUCK, DOG, PERSON]
SEEN = {47: (1005, 1013), 83: (1020, 1030), 15: (1035, 1045)}
IN_FULL_VIEW = {47: (1006.6, 1013), 83: (1021.6, 1030), 15: (1037.3, 1045)}
COMING = {47: (1005, 1009.6), 83: (1020, 1024.6), 15: (1035, 1040.3)}
GOING = {47: (1010, 1013), 83: (1027, 1030), 15: (1042, 1045)}

BY_PLATE = {
    QuestionType.COLOUR: (
        ("What colour was #{}?", "Which colour did #{} have?"),
        {47: "red", 83: "blue", 15: "white"},
        IN_FULL_VIEW,
    ),
    QuestionType.KIND: (
        (
            "What kind of thing was #{}?",
            "What was #{}?",
            "What kind of thing had number #{}?",
        ),
        {47: "car", 83: "truck", 15: "dog"},
        IN_FULL_VIEW,
    ),
    QuestionType.SIDE: (
        (
            "From which side did #{} come?",
            "Where did #{} come from?",
            "Which side did #{} enter from?",
        ),
        {47: "left", 83: "top", 15: "right"},
        COMING,
    ),
    QuestionType.LEFT_TO: (
        ("To which side did #{} leave?", "Where did #{} go?", "Where was #{} last?"),
        {47: "right", 83: "bottom", 15: "right"},
        GOING,
    ),
    QuestionType.WHEN: (
        (
            "When was #{} seen?",
            "When did #{} come?",
            "At what time did #{} appear?",
        ),
        {47: "<00:16:46>", 83: "<00:17:01>", 15: "<00:17:17>"},
        IN_FULL_VIEW,
    ),
    QuestionType.SEEN: (
        ("Was #{} seen?", "Did you see #{}?", "Has #{} been there?"),
        {47: "yes", 83: "yes", 15: "yes"},
        IN_FULL_VIEW,
    ),
}


def ask_all(visits: list[Visit], type: QuestionType) -> dict[str, Question]:
    """Give every question of a type that can be asked, by its text."""
    dealt = [ask(visits, [WINDOW], type, random.Random(n)) for n in range(600)]
    return {question.text: question for question in dealt if question is not None}


def is_at(times: tuple[Window, ...], *wanted: Window) -> bool:
    return times == tuple(pytest.approx(window) for window in wanted)


@pytest.mark.parametrize("type", list(BY_PLATE))
@pytest.mark.parametrize("plate", [47, 83, 15])
def test_what_is_asked_by_plate_is_as_written(type: QuestionType, plate: int) -> None:
    wordings, answers, shown = BY_PLATE[type]
    asked = ask_all(VISITS, type)
    for wording in wordings:
        question = asked[wording.format(plate)]
        assert question.answer == answers[plate]
        assert question.type is type
        assert question.happened == SEEN[plate]
        assert is_at(question.shown, shown[plate])
        starts_s = min(shown[plate][0], IN_FULL_VIEW[plate][0])
        assert question.holds == pytest.approx((starts_s, SEEN[plate][1]))
        assert question.age_s(1060) == 1060 - SEEN[plate][1]


def test_a_colour_is_asked_by_number_and_kind_together() -> None:
    asked = ask_all(VISITS, QuestionType.COLOUR)
    for what, answer in (("car", 47), "red"), (("truck", 83), "blue"):
        text = "What colour was the {} with number #{}?".format(*what)
        assert asked[text].answer == answer
    assert not any("car with number #83" in text for text in asked)


@pytest.mark.parametrize("type", [QuestionType.SEEN, QuestionType.NOT_SEEN])
def test_who_was_not_there_was_not_seen(type: QuestionType) -> None:
    asked = ask_all(VISITS, type)
    absent = {t: q for t, q in asked.items() if not any(f"#{p}" in t for p in SEEN)}
    answer = "no" if type is QuestionType.SEEN else "not seen"
    assert {question.answer for question in absent.values()} == {answer}
    for question in absent.values():
        assert (question.happened, question.shown) == (None, ())
        assert question.age_s(1060) is None
    if type is QuestionType.NOT_SEEN:
        assert absent == asked
        for start in ("What colour was ", "Where did ", "When ", "What kind of "):
            assert any(text.startswith(start) for text in asked)


def test_a_plate_is_that_of_the_only_one_that_looks_so() -> None:
    looks = {"red car": 47, "blue truck": 83, "white dog": 15}
    asked = ask_all(VISITS, QuestionType.PLATE)
    wordings = (
        "What number did the {} have?",
        "Which number was on the {}?",
        "What was the number of the {}?",
    )
    assert {t: q.answer for t, q in asked.items()} == {
        wording.format(look): f"#{plate}"
        for wording in wordings
        for look, plate in looks.items()
    }
    for look, plate in looks.items():
        question = asked[f"Which number was on the {look}?"]
        assert question.happened == SEEN[plate]
        assert question.shown == (SEEN[plate],)


def test_the_first_of_two_is_told_whichever_is_named_first() -> None:
    asked = ask_all(VISITS, QuestionType.ORDER)
    wordings = ("Which came first, #{} or #{}?", "Who was first, #{} or #{}?")
    for first, second in (47, 83), (47, 15), (83, 15):
        for named in (first, second), (second, first):
            for wording in wordings:
                question = asked[wording.format(*named)]
                assert question.answer == f"#{first}"
                assert question.happened == SEEN[first]
                assert question.shown == (SEEN[first], SEEN[second])
    assert len(asked) == 12


def test_those_who_come_into_view_together_have_no_first() -> None:
    beside = Visit(
        *(Kind.BUS, Colour.GREEN, 22, Side.LEFT, Side.RIGHT),
        path=(Waypoint(1006, -16, 40), Waypoint(1014, 64, 40)),
    )
    assert not ask_all([CAR, beside], QuestionType.ORDER)


def test_things_of_a_colour_are_counted_with_a_plate_or_without() -> None:
    asked = ask_all(VISITS, QuestionType.COUNT)
    counts = dict.fromkeys(Colour, 0) | {
        Colour.RED: 2,
        Colour.BLUE: 1,
        Colour.WHITE: 1,
    }
    for wording in "How many {} things were seen?", "How many {} things did you see?":
        told = {c: asked[wording.format(c)].answer for c in Colour}
        assert told == {colour: str(count) for colour, count in counts.items()}
    red = asked["How many red things were seen?"]
    assert red.shown == ((1005, 1013), (1048, 1056))
    assert red.age_s(1060) is None


def test_things_are_counted_in_the_time_that_a_question_names() -> None:
    asked = ask_all(VISITS, QuestionType.COUNT)
    timed = {}
    for text, question in asked.items():
        told = re.search(r" red .* from 00:(\d\d):(\d\d) to 00:(\d\d):(\d\d)\?", text)
        if told:
            start_s, end_s = (60 * int(told[n]) + int(told[n + 1]) for n in (1, 3))
            assert question.holds == (start_s, end_s)
            assert 1000 <= start_s <= end_s - 20 <= 1040
            timed[start_s, end_s] = question.answer
    assert {"0", "1"} <= set(timed.values())
    for (start_s, end_s), answer in timed.items():
        inside = (start_s <= 1005 and end_s >= 1013, start_s <= 1048 and end_s >= 1056)
        outside = (start_s >= 1013 or end_s <= 1005, start_s >= 1056 or end_s <= 1048)
        assert all(i or o for i, o in zip(inside, outside, strict=True))
        assert answer == str(sum(inside))


@pytest.mark.parametrize(
    ("kind", "colour", "answer"),
    [(Kind.VAN, Colour.PURPLE, "purple van"), (Kind.CART, Colour.BLACK, "black cart")],
)
def test_now_is_who_is_there_at_the_end(kind: Kind, colour: Colour, answer: str):
    path = (Waypoint(1055, -16, 20), Waypoint(1063, 64, 20))
    under_way = Visit(kind, colour, 60, Side.LEFT, Side.RIGHT, path)
    asked = ask_all([*VISITS, under_way], QuestionType.NOW)
    assert {text: question.answer for text, question in asked.items()} == {
        "What is happening now?": answer,
        "What do you see now?": answer,
    }
    for question in asked.values():
        assert is_at(question.shown, (1059.25, 1060))
        assert question.age_s(1060) == 0


def test_now_is_nothing_once_all_have_left() -> None:
    asked = ask_all(VISITS, QuestionType.NOW)
    assert {question.answer for question in asked.values()} == {"nothing"}
    assert len(asked) == 2
    assert all(is_at(q.shown, (1059.25, 1060)) for q in asked.values())


def test_every_type_has_a_truth_here() -> None:
    others = {"not_seen", "plate", "order", "count", "now"}
    assert {*BY_PLATE, *others} == set(QuestionType)
