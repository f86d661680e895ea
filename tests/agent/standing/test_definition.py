import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.standing.definition import (
    COOLDOWN_S,
    MARGIN,
    StandingQuestion,
    parse_standing,
    standing_to_dict,
)
from agent.standing.errors import InvalidStandingError, StandingError

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1)


def test_plain_text_is_a_standing_question() -> None:
    found = parse_standing(b" Was #47 seen?\n", "gate", "plate-47")
    usual = StandingQuestion("gate", "plate-47", "Was #47 seen?", MARGIN, COOLDOWN_S)
    assert found == usual
    assert found.enabled


def test_json_says_more() -> None:
    body = {"question": "Was #47 seen?", "margin": 3, "cooldown_s": 5, "enabled": False}
    found = parse_standing(json.dumps(body).encode(), "gate", "a", "config")
    wanted = StandingQuestion("gate", "a", "Was #47 seen?", 3.0, 5.0, False, "config")
    assert found == wanted
    assert parse_standing(body, "gate", "a", "config") == wanted


@pytest.mark.parametrize(
    ("payload", "code", "told"),
    [
        (b"{", "not_json", "not a JSON object"),
        (b"{}", "empty", "question is missing"),
        (b"", "bad_field", "1 to 512 characters"),
        (b'{"question": "   "}', "bad_field", "1 to 512 characters"),
        (b'{"question": "a\\nb"}', "bad_field", "1 to 512 characters"),
        (b'{"question": "\\ud800"}', "bad_field", "1 to 512 characters"),
        (b'{"question": 4}', "bad_field", "1 to 512 characters"),
        (b'{"question": "a", "margin": NaN}', "bad_field", "margin is log-odds"),
        (b'{"question": "a", "margin": "2"}', "bad_field", "margin is log-odds"),
        (b'{"question": "a", "cooldown_s": -1}', "bad_field", "from 0 to 86400"),
        (b'{"question": "a", "enabled": 1}', "bad_field", "true or false"),
        (b'{"question": "a", "colour": "red"}', "unknown_field", "allowed: question"),
        (b"\xff", "not_text", "UTF-8"),
        (b"a" * 513, "bad_field", "1 to 512 characters"),
        (b"a" * 20_000, "too_long", "16384 are allowed"),
    ],
)
def test_what_cannot_be_read_is_told(payload: bytes, code: str, told: str) -> None:
    with pytest.raises(InvalidStandingError, match=told) as caught:
        parse_standing(payload, "gate", "a")
    assert caught.value.code == code
    assert isinstance(caught.value, StandingError)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 65, "+", "a\n"])
def test_a_name_that_is_no_topic_level_is_refused(name: str) -> None:
    with pytest.raises(InvalidStandingError, match="a name is") as caught:
        parse_standing(b"Was #47 seen?", "gate", name)
    assert caught.value.code == "bad_name"


@given(
    st.builds(
        StandingQuestion,
        st.just("gate"),
        st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
        TEXTS.map(str.strip).filter(lambda text: text and text.isprintable()),
        st.floats(-20, 20),
        st.floats(0, 86_400),
        st.booleans(),
        st.sampled_from(["config", "set"]),
    )
)
def test_what_is_written_is_read_back(standing: StandingQuestion) -> None:
    body = json.loads(json.dumps(standing_to_dict(standing)))
    camera, name, source = standing.camera, standing.name, standing.source
    assert parse_standing(body, camera, name, source) == standing
