import json

import pytest

from agent.messages import Evidence
from agent.standing.alert import Alert, alert_of, alert_to_dict

FOUND = Evidence("gate", "0000000004000-0000000008000", 4.0, 8.0, 5.25, "low", "a.mp4")
BEFORE = Evidence("gate", "0000000000000-0000000004000", 0.0, 4.0, 2.5, "high")
ALERT = Alert("plate", "gate", "Was #47 seen?", 8.0, 4.125, (FOUND, BEFORE))


def test_an_alert_says_what_was_found_and_where() -> None:
    body = alert_to_dict(ALERT)
    assert body["event_type"] == "alert"
    assert body["state"] == "Was #47 seen? Yes."
    assert (body["camera"], body["name"]) == ("gate", "plate")
    assert body["time"] == "1970-01-01T00:00:08.000Z"
    assert (body["start"], body["end"]) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:08.000Z",
    )
    assert [each["chunk"] for each in body["evidence"]] == [FOUND.chunk, BEFORE.chunk]


def test_an_alert_is_read_back_from_its_json() -> None:
    assert alert_of(json.loads(json.dumps(alert_to_dict(ALERT)))) == ALERT


def test_a_long_question_is_cut_to_what_a_state_holds() -> None:
    long = Alert("a", "gate", "x" * 512, 8.0, 4.0, (FOUND,))
    assert len(long.state) <= 255


def test_an_alert_without_evidence_is_none() -> None:
    with pytest.raises(ValueError, match="evidence"):
        Alert("a", "gate", "x", 8.0, 4.0, ())
