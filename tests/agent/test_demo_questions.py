import pytest

from agent.demo_questions import DemoQuestion, questions_about
from ingest.simulation.questions import Question
from ingest.simulation.world import World

WORLDS = {"garden": World(14), "street": World(15)}
START_S = 1_790_000_000.25
WINDOWS = {"garden": (START_S, START_S + 240), "street": (START_S + 40, START_S + 200)}


def truth_of(question: DemoQuestion) -> Question:
    assert question.truth is not None
    return question.truth


@pytest.mark.parametrize("seed", range(-2, 6))
def test_each_question_is_about_another_visit_that_was_watched_whole(seed: int) -> None:
    questions = questions_about(WORLDS, WINDOWS, 4, seed)
    assert len({(q.camera, truth_of(q).happened) for q in questions}) == 4
    for question in questions:
        happened, window = truth_of(question).happened, WINDOWS[question.camera]
        assert happened is not None
        assert window[0] <= happened[0] < happened[1] <= window[1]
        passed = WORLDS[question.camera].visits(*window)
        plates = [visit.plate for visit in passed]
        named = int(question.text.split("#")[1][:2])
        assert plates.count(named) == 1


def test_the_truth_is_right_and_two_answers_at_once_are_not() -> None:
    asked = questions_about(WORLDS, WINDOWS, 3, 1)
    colour = next(q for q in asked if truth_of(q).type == "colour")
    other = "red" if colour.expected != "red" else "blue"
    assert colour.is_right(f"It was {colour.expected}.")
    assert not colour.is_right(f"{colour.expected} or {other}")
    assert not colour.is_right("not seen")


def test_where_the_truth_is_not_known_nothing_is_judged() -> None:
    question = DemoQuestion("Was there a person?", "video")
    assert question.is_right("yes") is None
    assert (question.expected, question.happened_s) == (None, None)


def test_a_time_without_visitors_gives_no_question() -> None:
    windows = {"garden": (START_S, START_S + 1.0)}
    assert questions_about({"garden": WORLDS["garden"]}, windows, 4, 0) == []
