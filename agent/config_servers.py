"""The sections of the config file about servers: the archive and the broker."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from agent.config_sections import ExistingFile, Section
from agent.mqtt_settings import MqttSettings, Version

EMBEDDED = "embedded"
_ARCHIVE_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
_MQTT_SCHEMES = ("mqtt", "mqtts", "unix")
MaxBytes = Annotated[int | None, Field(ge=1 << 20)]  # less is a slip of the pen
Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")]


class ArchiveConfig(Section):
    """Where L-KV is kept."""

    url: str = Field(
        default=EMBEDDED,
        description="embedded, redis://, rediss://, redis+cluster:// or unix://",
        repr=False,
    )
    prefix: Prefix = Field(default="longwatch", description="first part of every key")
    timeout_s: float = Field(
        default=5, gt=0, le=600, description="bound on every operation"
    )
    retention_hours: float = Field(
        default=168,
        gt=0,
        le=876_000,
        allow_inf_nan=False,
        description="age at which a chunk is forgotten",
    )
    max_bytes: MaxBytes = Field(
        default=None, description="of all cameras together; null: no bound"
    )
    max_bytes_per_camera: MaxBytes = Field(
        default=None, description="of each camera; null: no bound"
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        return check_archive_url(url)

    @property
    def is_embedded(self) -> bool:
        """Whether the agent starts its own archive."""
        return self.url == EMBEDDED

    @property
    def retention_s(self) -> float:
        """Age at which a chunk is forgotten, in seconds."""
        return self.retention_hours * 3600


class MqttConfig(Section):
    """The broker, and what is taken from it."""

    url: str = Field(
        default=EMBEDDED,
        description="embedded, mqtt://host:port, mqtts://host:port, unix:///path",
    )
    prefix: Prefix = Field(default="longwatch", description="first part of every topic")
    username: str | None = Field(default=None, description="who we are to the broker")
    password: SecretStr | None = Field(default=None, description="goes with username")
    ca_file: ExistingFile | None = Field(
        default=None, description="certificates to check mqtts:// by"
    )
    cert_file: ExistingFile | None = Field(
        default=None, description="our certificate, for a broker that asks for one"
    )
    key_file: ExistingFile | None = Field(
        default=None, description="its key; null: in the same file"
    )
    client_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="our session at the broker; null: <prefix>-agent",
    )
    share_group: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="agents that share the questions; null: no sharing",
    )
    version: Version = Field(
        default="auto", description="5, 3.1.1, or auto: 5 and then 3.1.1"
    )
    embedded_port: int = Field(
        default=1883,
        ge=0,
        le=65535,
        description="port of the embedded broker, 0 for a free one",
    )
    max_questions: int = Field(
        default=16, ge=1, le=1024, description="how many may wait"
    )
    max_question_bytes: int = Field(
        default=16384, ge=64, le=1 << 20, description="largest payload of a question"
    )
    questions_per_minute: int | None = Field(
        default=None, ge=1, le=6000, description="of each asker; null: no limit"
    )
    home_assistant: bool = Field(
        default=True, description="announce the cameras to Home Assistant"
    )
    default_deadline_s: float = Field(
        default=60, gt=0, le=3600, description="for a question that names no deadline"
    )

    @field_validator("version", mode="before")
    @classmethod
    def _write_version(cls, version: object) -> object:
        return str(version) if type(version) is int else version

    @field_validator("url")
    @classmethod
    def _known_url(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("found a login in it, allowed: in username and password")
        parts = urlsplit(_check_url(url, _MQTT_SCHEMES))
        if "mqtt" in parts.scheme and not (parts.hostname and parts.port != 0):
            raise ValueError("found no host, or port 0, allowed: mqtt://host:port")
        return url

    @property
    def is_embedded(self) -> bool:
        """Whether the agent starts its own broker."""
        return self.url == EMBEDDED

    def settings(self, embedded_url: str | None = None) -> MqttSettings:
        """Build what the bus connects by; `embedded_url` is the embedded broker's."""
        url, version = self.url, self.version
        if self.is_embedded:
            url = embedded_url or f"mqtt://127.0.0.1:{self.embedded_port}"
            version = "3.1.1" if version == "auto" else version  # all that amqtt speaks
        password = self.password.get_secret_value() if self.password else None
        return MqttSettings(
            url=url,
            prefix=self.prefix,
            username=self.username,
            password=password,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            client_id=self.client_id,
            share_group=self.share_group,
            version=version,
            max_questions=self.max_questions,
            max_question_bytes=self.max_question_bytes,
            questions_per_minute=self.questions_per_minute,
            default_deadline_s=self.default_deadline_s,
        )


def check_archive_url(url: str) -> str:
    """Give back the URL of an archive.

    Raises:
        ValueError: It is none.
    """
    return _check_url(url, _ARCHIVE_SCHEMES)


def _check_url(url: str, schemes: tuple[str, ...]) -> str:
    """Give back the URL if it is `embedded` or of one of the schemes."""
    if url == EMBEDDED:
        return url
    allowed = f"allowed: {EMBEDDED}, {', '.join(f'{s}://...' for s in schemes)}"
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest.strip("/"):
        found = f"{scheme}://..." if rest else "no address"
        raise ValueError(f"found {found}, {allowed}")
    return url
