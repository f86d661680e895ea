"""What is asked and answered, as it passes through the agent, and answers on the wire.

How a question is read from the wire is in `questions.py`; `docs/protocol.md` tells
an asker how both look.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

PARTS_APART = " ... "
"""Between words that are understood together but stand apart."""

_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"\s+([?.!,;])")

Status = Literal["ok", "partial", "unsure", "no_coverage", "error"]


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where an answer goes, and what the asker wants copied back with it."""

    topic: str
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """The time that a question is about, as it was understood; None is open.

    `words` are those of the question that say so, if it was not said explicitly.
    """

    start_s: float | None
    end_s: float | None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the agent works on it.

    Attributes:
        id: Safe as a topic level; the asker's, or made here.
        text: What is asked.
        cameras: The cameras it is about; empty is all of them.
        start_s: Earliest UTC it is about, seconds since the Unix epoch, or None.
        end_s: Latest UTC it is about, or None.
        deadline_s: Seconds after `asked_s` at which the answer is worth nothing.
        top_k: How many chunks to read as L-KV, or None for the configured number.
        stream: Whether the asker wants the tokens as they come.
        reply: Where the answer goes.
        conversation: Earlier questions of the same name are seen with their answers.
        earlier: These questions and their answers, oldest first.
        understood: The time it is about, if any was said.
        asked_s: When it arrived, on the monotonic clock.
    """

    id: str
    text: str
    cameras: tuple[str, ...]
    start_s: float | None
    end_s: float | None
    deadline_s: float
    top_k: int | None
    stream: bool
    reply: ReplyTo
    conversation: str | None = None
    earlier: tuple[tuple[str, str], ...] = ()
    understood: Understood | None = None
    asked_s: float = field(default_factory=time.monotonic, compare=False)

    @property
    def timeless(self) -> str:
        """Its text without the words that name its time, which is a window now.

        A model is asked about what it is shown; when that was it can't tell.
        """
        words = self.understood.words if self.understood else None
        text = self.text
        for part in words.split(PARTS_APART) if words else ():
            text = text.replace(part, " ", 1)
        text = _BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", text)).strip(" ,;")
        return text if len(text.split()) > 1 else self.text

    @property
    def expires_s(self) -> float:
        """When its deadline is over, on the monotonic clock."""
        return self.asked_s + self.deadline_s


@dataclass(frozen=True, slots=True)
class Evidence:
    """A chunk that the answer was read from; a higher score mattered more.

    `film` is the file that shows it, if the camera was recorded. `picture` and
    `film_url` are where both can be had by HTTP, None for nowhere.
    """

    camera: str
    chunk: str
    start_s: float
    end_s: float
    score: float
    level: Literal["high", "low"]
    film: str | None = None
    picture: str | None = None
    film_url: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a camera was watched."""

    camera: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A time during which a camera was not watched, and why."""

    camera: str
    start_s: float
    end_s: float
    kind: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the time asked about was watched."""

    watched: tuple[Span, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerError:
    """Why there is no answer: a code for programs, a message for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer to a question, or the error it ended in.

    `confidence` is how sure the model was, 0 to 1, None where that is not known.
    """

    id: str
    question: str
    answer: str
    status: Status
    degraded: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    coverage: Coverage = Coverage()
    understood: Understood | None = None
    confidence: float | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    model: str = ""
    error: AnswerError | None = None

    def __post_init__(self) -> None:
        if (self.status == "error") != (self.error is not None):
            raise ValueError(f"status {self.status} with error {self.error}")


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer's text; the number 0 begins the text anew."""

    seq: int
    text: str


def error_answer(question_id: str, code: str, message: str, text: str = "") -> Answer:
    """Build the answer that tells an asker what went wrong."""
    error = AnswerError(code, message)
    return Answer(question_id, text, "", "error", error=error)


def answer_to_json(answer: Answer) -> bytes:
    """Encode an answer for the wire."""
    body = answer_to_dict(answer)
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def answer_to_dict(answer: Answer) -> dict[str, Any]:
    """Give an answer ready for JSON; times are ISO 8601 UTC with milliseconds."""
    error, understood, confidence = answer.error, answer.understood, answer.confidence
    return {
        "id": answer.id,
        "question": answer.question,
        "answer": answer.answer,
        "status": answer.status,
        "degraded": list(answer.degraded),
        "evidence": [
            {
                "camera": found.camera,
                "chunk": found.chunk,
                "start": to_iso(found.start_s),
                "end": to_iso(found.end_s),
                "score": round(found.score, 6),
                "level": found.level,
                "film": found.film,
                "picture": found.picture,
                "film_url": found.film_url,
            }
            for found in answer.evidence
        ],
        "coverage": {
            "watched": [_span_to_dict(span) for span in answer.coverage.watched],
            "gaps": [
                {**_span_to_dict(gap), "kind": gap.kind} for gap in answer.coverage.gaps
            ],
        },
        "understood": _understood_to_dict(understood) if understood else None,
        "confidence": None if confidence is None else round(confidence, 4),
        "timings_ms": {name: round(ms, 3) for name, ms in answer.timings_ms.items()},
        "tokens": dict(answer.tokens),
        "model": answer.model,
        "error": {"code": error.code, "message": error.message} if error else None,
    }


def delta_to_json(question_id: str, delta: Delta) -> bytes:
    """Encode a delta for the wire."""
    body = {"id": question_id, "seq": delta.seq, "text": delta.text}
    return json.dumps(body, ensure_ascii=False).encode()


def _understood_to_dict(understood: Understood) -> dict[str, str | None]:
    start_s, end_s = understood.start_s, understood.end_s
    return {
        "from": None if start_s is None else to_iso(start_s),
        "to": None if end_s is None else to_iso(end_s),
        "words": understood.words,
    }


def _span_to_dict(span: Span | Gap) -> dict[str, str]:
    return {
        "camera": span.camera,
        "start": to_iso(span.start_s),
        "end": to_iso(span.end_s),
    }


def to_iso(time_s: float) -> str:
    """Write a UTC time in ISO 8601, with milliseconds."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
