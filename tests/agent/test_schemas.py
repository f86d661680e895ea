"""The JSON Schemas in docs/schemas, held to what is really taken and sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from bus_asker import answering, asker, running_bus
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.errors import InvalidQuestionError
from agent.messages import (
    Answer,
    Coverage,
    Evidence,
    Gap,
    Span,
    Understood,
    answer_to_dict,
    error_answer,
)
from agent.questions import QuestionRules, parse_question
from ingest.status import GapReason

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
RULES = QuestionRules("longwatch", frozenset({"door"}))
NAME = "anything-9"


def load(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


QUESTION, ANSWER = load("question"), load("answer")

FIELDS = {
    "question": st.sampled_from(["who?", "", "  ", 5, None]),
    "id": st.sampled_from(["q-1", "", "a b", "x" * 65, None, 7]),
    "conversation": st.sampled_from(["c", "/", None]),
    "cameras": st.sampled_from([["door"], [], None, "door", [1]]),
    "from": st.sampled_from([0, 1.5, -1, None, True]),
    "response_topic": st.sampled_from(["my/answers", None, "", "x" * 1025]),
    "deadline_s": st.sampled_from([1, 0, 3600.0, 3601, None, "1"]),
    "stream": st.sampled_from([True, False, None, 1]),
    "top_k": st.sampled_from([1, 0, 64, 65, None, 1.5]),
    "colour": st.just("red"),
}


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_a_question_is_taken_if_the_schema_says_so_and_only_then(body: dict[str, Any]):
    try:
        parse_question(json.dumps(body).encode(), RULES)
    except InvalidQuestionError:
        assert not QUESTION.is_valid(body)
    else:
        QUESTION.validate(body)


def full_answer(**changes: Any) -> Answer:
    gaps = tuple(Gap("door", 10.0, 11.0, str(reason)) for reason in GapReason)
    whole: dict[str, Any] = {
        "degraded": ("chunk_fallback",),
        "evidence": (
            Evidence("door", "1000-9000", 1.0, 9.0, 0.7, "low", "a.mp4"),
            Evidence("door", "9000-17000", 9.0, 17.0, 0.1, "high"),
        ),
        "coverage": Coverage((Span("door", 1.0, 10.0),), gaps),
        "understood": Understood(1.0, None, "since 10"),
        "timings_ms": {"total": 4.5},
        "tokens": {"context": 80},
    }
    return Answer("q", "who?", "red", "partial", **whole | changes)


@pytest.mark.parametrize(
    "answer",
    [
        full_answer(),
        Answer("q", "who?", "Nothing was watched then.", "no_coverage"),
        error_answer("", "not_text", "a question is UTF-8 text"),
    ],
    ids=["full", "bare", "error"],
)
def test_every_kind_of_answer_is_as_the_schema_says(answer: Answer):
    ANSWER.validate(answer_to_dict(answer))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "fine"},
        {"error": {"code": "failed", "message": "?"}},
        {"evidence": [{"camera": "door"}]},
        {"colour": "red"},
        {"coverage": {"watched": [], "gaps": [{"camera": "door"}]}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_the_schema_refuses_what_no_answer_is(wrong: dict[str, Any]):
    assert not ANSWER.is_valid(answer_to_dict(full_answer()) | wrong)


async def test_what_passes_over_a_broker_is_as_the_schemas_say(
    mosquitto: Any, prefix: str
):
    asked = {"question": "who?", "id": NAME, "deadline_s": 30, "stream": True}
    QUESTION.validate(asked)
    async with (
        running_bus(mosquitto, prefix) as bus,
        answering(bus),
        asker(mosquitto) as client,
    ):
        await client.listen(f"{prefix}/answers/{NAME}")
        await client.ask(f"{prefix}/ask", json.dumps(asked))
        ANSWER.validate(await client.next_body())
        wrong = {**asked, "top_k": 0}
        assert not QUESTION.is_valid(wrong)
        await client.ask(f"{prefix}/ask", json.dumps(wrong))
        refused = await client.next_body()
        ANSWER.validate(refused)
        assert refused["status"] == "error"
