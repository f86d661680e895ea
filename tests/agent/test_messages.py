import json

import pytest

from agent.messages import (
    Answer,
    Coverage,
    Evidence,
    Gap,
    Span,
    answer_to_json,
    error_answer,
)


def test_answer_on_the_wire_has_the_shape_of_the_protocol() -> None:
    answer = Answer(
        id="a-1",
        question="wer?",
        answer="Ömer",
        status="partial",
        degraded=("archive_unavailable",),
        evidence=(
            Evidence(
                "door",
                "1-2",
                1767261600.0004,
                1767261608.5,
                0.5,
                "low",
                "films/1-2.mp4",
            ),
        ),
        coverage=Coverage(
            (Span("door", 1767261600.0, 1767261608.0),),
            (Gap("door", 1767261608.0, 1767261609.0, "stalled"),),
        ),
        timings_ms={"total": 12.3456},
        tokens={"context": 7},
        model="builtin",
    )
    times = {"start": "2026-01-01T10:00:00.000Z", "end": "2026-01-01T10:00:08.000Z"}
    assert json.loads(answer_to_json(answer)) == {
        "id": "a-1",
        "question": "wer?",
        "answer": "Ömer",
        "status": "partial",
        "degraded": ["archive_unavailable"],
        "evidence": [
            {
                "camera": "door",
                "chunk": "1-2",
                "start": "2026-01-01T10:00:00.000Z",
                "end": "2026-01-01T10:00:08.500Z",
                "score": 0.5,
                "level": "low",
                "film": "films/1-2.mp4",
                "picture": None,
                "film_url": None,
            }
        ],
        "coverage": {
            "watched": [{"camera": "door", **times}],
            "gaps": [
                {
                    "camera": "door",
                    "start": "2026-01-01T10:00:08.000Z",
                    "end": "2026-01-01T10:00:09.000Z",
                    "kind": "stalled",
                }
            ],
        },
        "understood": None,
        "confidence": None,
        "timings_ms": {"total": 12.346},
        "tokens": {"context": 7},
        "model": "builtin",
        "error": None,
    }


def test_error_answer_carries_code_and_message() -> None:
    body = json.loads(answer_to_json(error_answer("a", "empty", "say something")))
    assert body["status"] == "error"
    assert body["error"] == {"code": "empty", "message": "say something"}
    assert body["answer"] == ""


def test_status_and_error_agree() -> None:
    with pytest.raises(ValueError, match="status error"):
        Answer("a", "q", "", "error")
