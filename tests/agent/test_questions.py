import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import InvalidQuestionError
from agent.messages import ReplyTo
from agent.questions import QuestionRules, find_reply, parse_question

RULES = QuestionRules("lw", frozenset({"door", "yard"}), max_bytes=1000)


def as_json(**fields: object) -> bytes:
    return json.dumps({"question": "who?", **fields}).encode()


def test_plain_text_is_a_question_about_all_cameras() -> None:
    question = parse_question("  wer war da, Ömer? ".encode(), RULES)
    assert question.text == "wer war da, Ömer?"
    assert question.cameras == ()
    assert (question.start_s, question.end_s, question.top_k) == (None, None, None)
    assert question.deadline_s == 60.0
    assert not question.stream
    assert question.reply == ReplyTo(f"lw/answers/{question.id}")
    assert question.id != parse_question(b"who?", RULES).id


def test_json_object_sets_every_field() -> None:
    payload = json.dumps(
        {
            "id": "a-1",
            "question": "who?",
            "cameras": ["door", "yard", "door"],
            "from": "2026-01-01T12:00:00+02:00",
            "to": 1767265200,
            "response_topic": "me/answers",
            "deadline_s": 5,
            "stream": True,
            "top_k": 3,
        }
    )
    question = parse_question(payload.encode(), RULES)
    assert question.id == "a-1"
    assert question.cameras == ("door", "yard")
    assert (question.start_s, question.end_s) == (1767261600.0, 1767265200.0)
    assert question.reply == ReplyTo("me/answers")
    assert (question.deadline_s, question.stream, question.top_k) == (5.0, True, 3)


def test_time_without_zone_is_utc() -> None:
    naive = parse_question(as_json(**{"from": "2026-01-01T10:00:00"}), RULES)
    zoned = parse_question(as_json(**{"from": "2026-01-01T12:00:00+02:00"}), RULES)
    zulu = parse_question(as_json(**{"from": "2026-01-01T10:00:00Z"}), RULES)
    seconds = parse_question(as_json(**{"from": 1767261600}), RULES)
    starts = {q.start_s for q in (naive, zoned, zulu, seconds)}
    assert starts == {1767261600.0}


def test_camera_of_the_topic_is_asked() -> None:
    assert parse_question(b"who?", RULES, camera="door").cameras == ("door",)
    both = parse_question(as_json(cameras=["door"]), RULES, camera="door")
    assert both.cameras == ("door",)


def test_properties_of_mqtt_5_win_over_the_json_topic() -> None:
    reply = ReplyTo("mine", b"\x00\x01")
    question = parse_question(as_json(response_topic="other"), RULES, reply=reply)
    assert question.reply == reply


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        (b"", "empty", ["empty"]),
        (b" \n ", "empty", ["empty"]),
        (as_json(question="  "), "empty", ["empty"]),
        (b'{"id": "a"}', "empty", ["question", "missing"]),
        (b"x" * 1001, "too_long", ["1001", "1000"]),
        (b"\xff\xfe who", "not_text", ["UTF-8"]),
        (b'{"question": "\\ud800"}', "not_text", ["Unicode"]),
        (b'{"question": "who?"', "not_json", ["JSON"]),
        (b"{" * 900, "not_json", ["JSON"]),
        (as_json(camera="door"), "unknown_field", ["camera", "allowed", "cameras"]),
        (as_json(question=7), "bad_field", ["question"]),
        (as_json(stream="yes"), "bad_field", ["stream", "true or false"]),
        (as_json(top_k=0), "bad_field", ["top_k", "1 to 64"]),
        (as_json(top_k=True), "bad_field", ["top_k"]),
        (as_json(deadline_s=-1), "bad_field", ["deadline_s", "3600"]),
        (as_json(deadline_s=math.nan), "bad_field", ["deadline_s"]),
        (as_json(cameras="door"), "bad_field", ["cameras", "list"]),
        (as_json(id="a/b"), "bad_id", ["id", "letters"]),
        (as_json(id="a\n"), "bad_id", ["id"]),
        (as_json(id=""), "bad_id", ["id"]),
        (as_json(cameras=["roof"]), "unknown_camera", ["roof", "door, yard"]),
        (as_json(**{"from": 9, "to": 9}), "bad_window", ["before"]),
        (as_json(**{"from": "noon"}), "bad_window", ["from", "ISO 8601"]),
        (as_json(to=1767261600000), "bad_window", ["to", "seconds"]),
        (as_json(to=math.inf), "bad_window", ["to"]),
        (as_json(to=True), "bad_window", ["to"]),
        (as_json(**{"from": "0001-01-01T00:00+14:00"}), "bad_window", ["from"]),
        (as_json(response_topic="a/#"), "bad_response_topic", ["+ and #"]),
        (as_json(response_topic="a/+/b"), "bad_response_topic", ["+ and #"]),
        (as_json(response_topic=""), "bad_response_topic", ["1 to 1024"]),
        (as_json(response_topic="a\x00"), "bad_response_topic", ["text"]),
        (as_json(response_topic="$SYS/x"), "bad_response_topic", ["own"]),
        (as_json(response_topic="lw/ask"), "bad_response_topic", ["own"]),
        (as_json(response_topic="lw/door/status"), "bad_response_topic", ["own"]),
        (as_json(id="ask"), "bad_response_topic", ["own"]),
    ],
)
def test_malformed_question_is_a_named_error(
    payload: bytes, code: str, words: list[str]
) -> None:
    with pytest.raises(InvalidQuestionError) as caught:
        parse_question(payload, RULES)
    assert caught.value.code == code
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_camera_of_topic_must_exist_and_agree() -> None:
    with pytest.raises(InvalidQuestionError, match="roof") as caught:
        parse_question(b"who?", RULES, camera="roof")
    assert caught.value.code == "unknown_camera"
    with pytest.raises(InvalidQuestionError, match="topic"):
        parse_question(as_json(cameras=["yard"]), RULES, camera="door")


def test_error_never_holds_what_was_asked() -> None:
    payload = as_json(question="secret words", top_k="secret words", extra=1)
    with pytest.raises(InvalidQuestionError) as caught:
        parse_question(payload, RULES)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
names = st.sampled_from(
    ["id", "question", "cameras", "from", "to", "response_topic", "top_k", "x"]
)


# The first draw of a text builds Hypothesis's tables of Unicode.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | st.dictionaries(names, json_values).map(lambda d: as_json(**d)))
def test_any_payload_is_a_question_or_a_named_error(payload: bytes) -> None:
    with contextlib.suppress(InvalidQuestionError):
        assert parse_question(payload, RULES).text
    find_reply(payload, RULES, None)


@pytest.mark.parametrize(
    ("fields", "reply", "expected"),
    [
        ({"id": "a"}, ReplyTo("v5", b"c"), ("a", ReplyTo("v5", b"c"))),
        ({"id": "a", "response_topic": "t"}, None, ("a", ReplyTo("t"))),
        ({"id": "a"}, None, ("a", ReplyTo("lw/answers/a"))),
        ({"id": "a", "response_topic": "#"}, None, ("a", ReplyTo("lw/answers/a"))),
        ({"id": "a/#"}, None, ("", None)),
        ({"id": 5, "response_topic": ["t"]}, None, ("", None)),
        ({}, ReplyTo("bad/#", b"c"), ("", None)),
    ],
)
def test_error_finds_its_way_back(
    fields: dict[str, Any], reply: ReplyTo | None, expected: object
) -> None:
    assert find_reply(as_json(bad=1, **fields), RULES, reply) == expected
