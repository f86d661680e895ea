"""Reads questions from the wire: plain text, or JSON as `docs/protocol.md` has it.

Nothing outside is trusted here: a payload becomes a `Question` or a named error, never
anything else, and an error never carries what was asked.
"""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import InvalidQuestionError
from agent.messages import Question, ReplyTo

MAX_DEADLINE_S = 3600.0
MAX_TOP_K = 64
_MAX_LEVELS = 64  # mosquitto hangs up at 200
_MAX_TIME_S = 253402300799.0  # the end of year 9999, the last that ISO 8601 writes
_MAX_READ_BYTES = 1 << 20  # where to answer is looked for in payloads up to this size
_OWN_LEVELS = frozenset({"ask", "cancel", "status", "set", "state", "alerts", "config"})
_OWN_LEVELS |= {"picture", "last_answer", "last_alert", "commands"}
_SAFE_ID = re.compile(r"[A-Za-z0-9_.~:@-]{1,64}")


@dataclass(frozen=True, slots=True)
class QuestionRules:
    """What a question has to keep to.

    Attributes:
        prefix: First part of the agent's own topics.
        cameras: The cameras there are.
        max_bytes: Largest payload.
        default_deadline_s: Deadline of a question that names none.
    """

    prefix: str
    cameras: frozenset[str]
    max_bytes: int = 16384
    default_deadline_s: float = 60.0


class _Asked(BaseModel):
    """A question as JSON."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )

    question: str = Field(description="what is asked")
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.~:@-]{1,64}$",
        description="1 to 64 letters, digits or _ . ~ : @ -",
    )
    cameras: list[str] | None = Field(
        default=None, max_length=1024, description="a list of names of cameras"
    )
    from_: float | str | None = Field(
        default=None, alias="from", description="ISO 8601 or Unix seconds"
    )
    to: float | str | None = Field(default=None, description="ISO 8601 or Unix seconds")
    response_topic: str | None = Field(
        default=None, description="a topic without wildcards"
    )
    deadline_s: float | None = Field(
        default=None,
        gt=0,
        le=MAX_DEADLINE_S,
        description="seconds, above 0, at most 3600",
    )
    conversation: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.~:@-]{1,64}$",
        description="1 to 64 letters, digits or _ . ~ : @ -",
    )
    stream: bool = Field(default=False, description="true or false")
    top_k: int | None = Field(
        default=None, ge=1, le=MAX_TOP_K, description="a whole number from 1 to 64"
    )


_FIELDS = {info.alias or name: info for name, info in _Asked.model_fields.items()}
_CODES = {
    "id": "bad_id",
    "from": "bad_window",
    "to": "bad_window",
    "response_topic": "bad_response_topic",
}


def parse_question(
    payload: bytes,
    rules: QuestionRules,
    *,
    camera: str | None = None,
    reply: ReplyTo | None = None,
    expiry_s: float | None = None,
) -> Question:
    """Read a question: plain text, or a JSON object.

    Args:
        payload: What was published.
        rules: What it has to keep to.
        camera: The camera in the topic it was published on, if any.
        reply: Response Topic and Correlation Data of MQTT 5, if any.
        expiry_s: What is left of its Message Expiry, if any: an earlier deadline.

    Raises:
        InvalidQuestionError: It can't be read; the code says why.
    """
    asked = _read_payload(payload, rules.max_bytes)
    text = _read_text(asked.question)
    question_id = asked.id or uuid.uuid4().hex
    start_s, end_s = _read_window(asked)
    topic = reply.topic if reply else asked.response_topic
    if topic is None:
        topic = f"{rules.prefix}/answers/{question_id}"
    return Question(
        id=question_id,
        text=text,
        cameras=_choose_cameras(asked.cameras, camera, rules.cameras),
        start_s=start_s,
        end_s=end_s,
        deadline_s=_deadline_s(asked, rules, expiry_s),
        top_k=asked.top_k,
        conversation=asked.conversation,
        stream=asked.stream,
        reply=ReplyTo(
            check_reply_topic(topic, rules), reply.correlation if reply else None
        ),
    )


def find_reply(
    payload: bytes, rules: QuestionRules, reply: ReplyTo | None
) -> tuple[str, ReplyTo | None]:
    """Find the id and the place for an error, in a payload that can't be read.

    Returns:
        The id, empty if there is none, and where to answer, None if nowhere.
    """
    body: object = None
    if len(payload) <= _MAX_READ_BYTES:
        try:
            body = json.loads(payload)
        except (ValueError, RecursionError):
            body = None
    fields = body if isinstance(body, dict) else {}
    found = fields.get("id")
    question_id = found if isinstance(found, str) and _SAFE_ID.fullmatch(found) else ""
    by_id = f"{rules.prefix}/answers/{question_id}" if question_id else None
    correlation = reply.correlation if reply else None
    for topic in (reply.topic if reply else None, fields.get("response_topic"), by_id):
        try:
            if isinstance(topic, str):
                checked = check_reply_topic(topic, rules)
                return question_id, ReplyTo(checked, correlation)
        except InvalidQuestionError:
            continue
    return question_id, None


def check_reply_topic(topic: str, rules: QuestionRules) -> str:
    """Give back the topic if an answer may be published on it.

    Raises:
        InvalidQuestionError: It has wildcards, is reserved, or the agent's own.
    """
    printable = topic.isprintable() and _is_encodable(topic)
    printable = printable and topic.count("/") < _MAX_LEVELS
    if not printable or not 0 < len(topic.encode()) <= 1024 or set(topic) & set("+#"):
        reason = "a response topic is 1 to 1024 bytes of text without + and #"
        reason += f", of {_MAX_LEVELS} levels at most"
        raise InvalidQuestionError("bad_response_topic", reason)
    own = topic.startswith(f"{rules.prefix}/")
    if topic.startswith("$") or (own and topic.rpartition("/")[2] in _OWN_LEVELS):
        reason = "a response topic is not one of the broker's or the agent's own"
        raise InvalidQuestionError("bad_response_topic", reason)
    return topic


def _read_payload(payload: bytes, max_bytes: int) -> _Asked:
    if len(payload) > max_bytes:
        reason = f"{len(payload)} bytes, at most {max_bytes} are allowed"
        raise InvalidQuestionError("too_long", reason)
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise InvalidQuestionError("not_text", "a question is UTF-8 text") from None
    if not text.startswith("{"):
        return _Asked(question=text)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        reason = "begins with { but is not a JSON object"
        raise InvalidQuestionError("not_json", reason) from None
    try:
        return _Asked.model_validate(body)
    except ValidationError as exc:
        raise _explain(exc) from None


def _explain(error: ValidationError) -> InvalidQuestionError:
    """Turn the first of pydantic's findings into ours, without the input."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        reason = f"unknown field {name[:64]!a}; allowed: {', '.join(_FIELDS)}"
        return InvalidQuestionError("unknown_field", reason)
    if first["type"] == "missing":
        return InvalidQuestionError("empty", f"the field {name} is missing")
    reason = f"{name} is {_FIELDS[name].description}"
    return InvalidQuestionError(_CODES.get(name, "bad_field"), reason)


def _read_text(question: str) -> str:
    text = question.strip()
    if not text:
        raise InvalidQuestionError("empty", "the question is empty")
    if not _is_encodable(text):
        raise InvalidQuestionError("not_text", "the question is not valid Unicode")
    return text


def _deadline_s(asked: _Asked, rules: QuestionRules, expiry_s: float | None) -> float:
    deadline_s = asked.deadline_s or rules.default_deadline_s
    return deadline_s if expiry_s is None else min(deadline_s, max(expiry_s, 1.0))


def _choose_cameras(
    asked: list[str] | None, camera: str | None, known: frozenset[str]
) -> tuple[str, ...]:
    if camera is not None and asked and asked != [camera]:
        reason = "cameras names others than the topic does"
        raise InvalidQuestionError("bad_field", reason)
    chosen = (camera,) if camera is not None else tuple(dict.fromkeys(asked or ()))
    for name in chosen:
        if name not in known:
            reason = f"no camera {name[:64]!a}; there are: {', '.join(sorted(known))}"
            raise InvalidQuestionError("unknown_camera", reason)
    return chosen


def _read_window(asked: _Asked) -> tuple[float | None, float | None]:
    """Give back from when to when, UTC seconds; None where it is open."""
    start_s, end_s = _read_time("from", asked.from_), _read_time("to", asked.to)
    if start_s is not None and end_s is not None and start_s >= end_s:
        raise InvalidQuestionError("bad_window", "from must be before to")
    return start_s, end_s


def _read_time(name: str, value: float | str | None) -> float | None:
    """Give back UTC seconds; a time without a zone is UTC."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            value = read_moment(value)
    except (ValueError, OverflowError):
        value = -1.0
    if not 0 <= value <= _MAX_TIME_S:
        reason = f"{name} is ISO 8601 or Unix seconds, from 1970 to 9999"
        raise InvalidQuestionError("bad_window", reason)
    return float(value)


def read_moment(text: str) -> float:
    """Read Unix seconds, or ISO 8601; a command line has nothing but text."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.timestamp()


def _is_encodable(text: str) -> bool:
    """Tell text from lone surrogates, which JSON can carry and UTF-8 can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
