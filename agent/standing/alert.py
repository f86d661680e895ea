"""What a standing question has found, as it passes through the agent and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.home_assistant import short_state
from agent.messages import Evidence, to_iso


@dataclass(frozen=True, slots=True)
class Alert:
    """A standing question's yes.

    Attributes:
        name: Of the standing question.
        camera: Its camera.
        question: What is asked.
        time_s: End of the chunk that gave it, UTC.
        margin: Log-odds of the confirmed yes.
        evidence: The chunks it was read from, the surest first; the score is the
            log-odds of a yes over that chunk alone.
    """

    name: str
    camera: str
    question: str
    time_s: float
    margin: float
    evidence: tuple[Evidence, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError("an alert has evidence")

    @property
    def state(self) -> str:
        """What a small display shows: the question and its answer."""
        return short_state(f"{self.question} Yes.")


def alert_to_dict(alert: Alert) -> dict[str, Any]:
    """Give an alert ready for JSON; `start` and `end` are its evidence's."""
    start_s = min(found.start_s for found in alert.evidence)
    end_s = max(found.end_s for found in alert.evidence)
    return {
        "event_type": "alert",
        "state": alert.state,
        "camera": alert.camera,
        "name": alert.name,
        "question": alert.question,
        "time": to_iso(alert.time_s),
        "start": to_iso(start_s),
        "end": to_iso(end_s),
        "margin": round(alert.margin, 3),
        "evidence": [_evidence_to_dict(found) for found in alert.evidence],
    }


def alert_of(body: Mapping[str, Any]) -> Alert:
    """Read an alert that was kept.

    Raises:
        KeyError: Something is missing, or, as a TypeError or ValueError, not of its
            kind.
    """
    found: Sequence[Mapping[str, Any]] = body["evidence"]
    return Alert(
        str(body["name"]),
        str(body["camera"]),
        str(body["question"]),
        _seconds(body["time"]),
        float(body["margin"]),
        tuple(
            Evidence(
                str(each["camera"]),
                str(each["chunk"]),
                _seconds(each["start"]),
                _seconds(each["end"]),
                float(each["score"]),
                "low" if each["level"] == "low" else "high",
                None if each["film"] is None else str(each["film"]),
            )
            for each in found
        ),
    )


def _evidence_to_dict(found: Evidence) -> dict[str, Any]:
    return {
        "camera": found.camera,
        "chunk": found.chunk,
        "start": to_iso(found.start_s),
        "end": to_iso(found.end_s),
        "score": round(found.score, 3),
        "level": found.level,
        "film": found.film,
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
