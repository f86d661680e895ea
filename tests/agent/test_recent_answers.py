from dataclasses import replace

import pytest

from agent import recent_answers
from agent.messages import Answer, Question, ReplyTo, error_answer
from agent.recent_answers import RecentAnswers

ASKED = Question("1", "who?", (), None, None, 3600.0, None, False, ReplyTo("t"))
ANSWER = Answer("1", "who?", "nobody", "ok")


def test_open_question_is_known_until_it_expires() -> None:
    recent = RecentAnswers()
    assert not recent.is_open(ASKED)
    recent.open(ASKED)
    assert recent.is_open(replace(ASKED, reply=ReplyTo("elsewhere")))
    recent.open(replace(ASKED, deadline_s=-1.0))
    assert not recent.is_open(ASKED)


def test_same_question_finds_its_answer() -> None:
    recent = RecentAnswers()
    recent.open(ASKED)
    recent.close(ASKED, ANSWER)
    assert not recent.is_open(ASKED)
    assert recent.open_questions() == ()
    assert recent.find(replace(ASKED, reply=ReplyTo("elsewhere"))) is ANSWER


def test_same_id_with_another_text_is_another_question() -> None:
    recent = RecentAnswers()
    recent.close(ASKED, ANSWER)
    assert recent.find(replace(ASKED, text="what?")) is None
    assert recent.find(replace(ASKED, cameras=("door",))) is None


def test_error_is_not_remembered() -> None:
    recent = RecentAnswers()
    recent.close(ASKED, error_answer("1", "timeout", "late"))
    assert recent.find(ASKED) is None


def test_answers_are_bounded_in_number_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = RecentAnswers()
    for number in range(300):
        recent.close(replace(ASKED, id=str(number)), ANSWER)
    assert recent.find(replace(ASKED, id="43")) is None
    assert recent.find(replace(ASKED, id="44")) is ANSWER
    monkeypatch.setattr(recent_answers, "_KEEP_S", 0.0)
    assert recent.find(replace(ASKED, id="44")) is None
