"""What the bus is told about its broker; built from the config, free of any client."""

from dataclasses import dataclass, field
from typing import Literal

Version = Literal["auto", "5", "3.1.1"]


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker, and what the agent accepts from it.

    Attributes:
        url: `mqtt://host:port`, `mqtts://host:port` or `unix:///path`.
        prefix: First part of every topic of ours.
        username: Name the broker knows us by, or None.
        password: Goes with `username`.
        ca_file: Certificates that a `mqtts` broker is checked against, or the system's.
        cert_file: Our own certificate, for a broker that asks for one, with its key
            if `key_file` is None.
        key_file: The key of `cert_file`.
        client_id: What the broker knows our session by; None is `<prefix>-agent`.
        share_group: Questions are shared with other agents of this group, or None.
        version: The MQTT version, or `auto`: 5 first, then 3.1.1.
        max_questions: How many questions may wait.
        max_question_bytes: Largest payload of a question.
        questions_per_minute: Of one asker, by where its answers go; None is no limit.
        default_deadline_s: Deadline of a question that names none.
    """

    url: str
    prefix: str = "longwatch"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_id: str | None = None
    share_group: str | None = None
    version: Version = "auto"
    max_questions: int = 16
    max_question_bytes: int = 16384
    questions_per_minute: int | None = None
    default_deadline_s: float = 60.0
