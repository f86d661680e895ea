"""A standing question as the agent works on it, and how it is read and written.

Nothing outside is trusted: what comes over MQTT, HTTP or from a file becomes a
`StandingQuestion` or a named error.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.standing.errors import InvalidStandingError

MARGIN = 1.0  # log-odds; chosen for the built-in model, docs/standing.md
COOLDOWN_S = 60.0
MAX_COOLDOWN_S = 86_400.0
MAX_QUESTION = 512  # characters
_MAX_BYTES = 16_384
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Source = Literal["config", "set"]


@dataclass(frozen=True, slots=True)
class StandingQuestion:
    """A question of yes or no that is asked of every new chunk of a camera.

    Attributes:
        camera: Which.
        name: Its name among those of the camera.
        question: What is asked.
        margin: Least log-odds of a yes.
        cooldown_s: Least seconds of the stream between two alerts.
        enabled: Whether it is asked.
        source: `config` if the config file has it, `set` if somebody set it.
    """

    camera: str
    name: str
    question: str
    margin: float = MARGIN
    cooldown_s: float = COOLDOWN_S
    enabled: bool = True
    source: Source = "set"

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by: its camera and its name."""
        return self.camera, self.name


class StandingBody(BaseModel):
    """A standing question as JSON, without its camera and name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )

    question: str = Field(
        min_length=1,
        max_length=MAX_QUESTION,
        description=f"a question of yes or no, 1 to {MAX_QUESTION} characters",
    )
    margin: float = Field(
        default=MARGIN, ge=-20, le=20, description="log-odds, from -20 to 20"
    )
    cooldown_s: float = Field(
        default=COOLDOWN_S,
        ge=0,
        le=MAX_COOLDOWN_S,
        description=f"seconds, from 0 to {MAX_COOLDOWN_S:.0f}",
    )
    enabled: bool = Field(default=True, description="true or false")

    def build(self, camera: str, name: str, source: Source = "set") -> StandingQuestion:
        """Give the standing question of a camera and a name.

        Raises:
            InvalidStandingError: The name is none, or nothing is asked.
        """
        if not _NAME.fullmatch(name):
            reason = "a name is 1 to 64 letters, digits or _ -"
            raise InvalidStandingError("bad_name", reason)
        text = self.question.strip()
        if not text or not text.isprintable():
            raise InvalidStandingError("bad_field", f"question is {_told('question')}")
        return StandingQuestion(
            camera, name, text, self.margin, self.cooldown_s, self.enabled, source
        )


def parse_standing(
    payload: bytes | Mapping[str, Any],
    camera: str,
    name: str,
    source: Source = "set",
) -> StandingQuestion:
    """Read a standing question: plain text, a JSON object, or one that is decoded.

    Args:
        payload: What was sent.
        camera: The camera it is about.
        name: Its name.
        source: Where it is from.

    Raises:
        InvalidStandingError: It can't be read; the code says why.
    """
    body = _read(payload) if isinstance(payload, bytes) else dict(payload)
    try:
        return StandingBody.model_validate(body).build(camera, name, source)
    except ValidationError as exc:
        raise _explain(exc) from None


def standing_to_dict(standing: StandingQuestion) -> dict[str, Any]:
    """Give a standing question ready for JSON, as `parse_standing` reads it back."""
    return {name: getattr(standing, name) for name in StandingBody.model_fields}


def _read(payload: bytes) -> dict[str, Any]:
    if len(payload) > _MAX_BYTES:
        reason = f"{len(payload)} bytes, at most {_MAX_BYTES} are allowed"
        raise InvalidStandingError("too_long", reason)
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        reason = "a standing question is UTF-8 text"
        raise InvalidStandingError("not_text", reason) from None
    if not text.startswith("{"):
        return {"question": text}
    try:
        body: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        reason = "begins with { but is not a JSON object"
        raise InvalidStandingError("not_json", reason) from None
    return body


def _explain(error: ValidationError) -> InvalidStandingError:
    """Turn the first of pydantic's findings into ours, without the input."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(StandingBody.model_fields)
        reason = f"unknown field {name[:64]!a}; allowed: {allowed}"
        return InvalidStandingError("unknown_field", reason)
    if first["type"] == "missing":
        return InvalidStandingError("empty", f"the field {name} is missing")
    return InvalidStandingError("bad_field", f"{name} is {_told(name)}")


def _told(name: str) -> str:
    return str(StandingBody.model_fields[name].description)
