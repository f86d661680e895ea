"""Every section of the config file: settings, bounds, defaults.

`configs/default.yaml` shows them to a user and is tested to say the same.
"""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from agent.mqtt_settings import MqttSettings, Version
from ingest.settings import CameraSettings

EMBEDDED = "embedded"
_ARCHIVE_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
_MQTT_SCHEMES = ("mqtt", "mqtts", "unix")
_CAMERA: dict[str, Any] = {
    field.name: None if field.default is MISSING else field.default
    for field in fields(CameraSettings)
}

Method = Literal["novelty", "value_norm", "pooling"]
CameraName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")]


class Section(BaseModel):
    """A part of the config file. Frozen; knows all its keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool(cls, value: object, info: ValidationInfo) -> object:
        """Python takes true for 1; a config doesn't."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind is not bool:
            raise PydanticCustomError("not_bool", "not a number")
        return value


class CameraConfig(Section):
    """One camera; its bounds are those of `ingest.settings.CameraSettings`."""

    address: str = Field(
        description="a file, a URL that FFmpeg opens, or simulated:...", repr=False
    )
    fps: float = Field(default=_CAMERA["fps"], description="frames sampled per second")
    chunk_frames: int = Field(
        default=_CAMERA["chunk_frames"], description="frames in a chunk"
    )
    max_side: int = Field(
        default=_CAMERA["max_side"], description="longer side, in pixels"
    )
    realtime: bool = Field(
        default=_CAMERA["realtime"], description="play files at their pace"
    )
    open_timeout_s: float = Field(
        default=_CAMERA["open_timeout_s"], description="for the first frame"
    )
    stall_timeout_s: float = Field(
        default=_CAMERA["stall_timeout_s"], description="for any other frame"
    )
    buffer_chunks: int = Field(default=_CAMERA["buffer_chunks"], description="queue")
    options: dict[str, str] = Field(
        default_factory=dict, description="FFmpeg options", repr=False
    )

    @field_validator("options", mode="before")
    @classmethod
    def _write_numbers(cls, value: object) -> object:
        """FFmpeg's options are texts; a config may say `timeout: 5000000`."""
        if not isinstance(value, dict):
            return value
        numbers = (int, float)
        return {k: str(v) if type(v) in numbers else v for k, v in value.items()}

    @field_validator("*", mode="after")
    @classmethod
    def _check(cls, value: object, info: ValidationInfo) -> object:
        """Let the camera's own settings judge each field by itself."""
        probe = {"name": "camera", "address": "camera.mp4", info.field_name: value}
        CameraSettings(**probe)  # type: ignore[arg-type]
        return value

    def settings(self, name: str) -> CameraSettings:
        """Build what `ingest` reads this camera by."""
        return CameraSettings(name=name, **dict(self))


class ModelConfig(Section):
    """The model, and how much of it is used."""

    name: str = Field(
        default="builtin",
        min_length=1,
        description="builtin, a folder, or a hub repository",
    )
    revision: str | None = Field(default=None, description="of the hub repository")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where it runs"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    context_chunks: int = Field(
        default=1,
        ge=0,
        le=64,
        description="chunks before it that a chunk is prefilled against",
    )
    max_new_tokens: int = Field(
        default=64, ge=1, le=8192, description="most tokens of an answer"
    )
    max_pixels: int | None = Field(
        default=None,
        ge=256,
        description="most pixels of a frame; null: the model's own",
    )


class MemoryConfig(Section):
    """How much is kept, and how much of it a question reads."""

    high_factor: int = Field(
        default=16, ge=1, le=1024, description="tokens in / tokens kept, in H-KV"
    )
    low_factor: int = Field(
        default=2, ge=1, le=1024, description="tokens in / tokens kept, in L-KV"
    )
    high_method: Method = Field(default="novelty", description="how H-KV is chosen")
    low_method: Method = Field(default="value_norm", description="how L-KV is chosen")
    resident_tokens: int = Field(
        default=65536,
        ge=256,
        description="H-KV tokens kept on the GPU, all cameras together",
    )
    context_tokens: int = Field(
        default=16384, ge=256, description="most KV tokens that a question reads"
    )
    top_k: int = Field(
        default=2,
        ge=0,
        le=64,
        description="chunks a question reads as L-KV, by relevance",
    )
    newest_chunks: int = Field(
        default=1,
        ge=0,
        le=64,
        description="newest chunks a question always reads as L-KV",
    )
    index_keys: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="keys per chunk and head that relevance uses",
    )
    spool_bytes: int = Field(
        default=1 << 30, ge=0, description="disk for chunks while the archive is away"
    )

    @field_validator("low_factor")
    @classmethod
    def _low_keeps_more(cls, low: int, info: ValidationInfo) -> int:
        high = info.data.get("high_factor")
        if high is not None and low >= high:
            raise ValueError(f"found {low}, allowed: below high_factor ({high})")
        return low


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
        default=168, gt=0, description="age at which a chunk is forgotten"
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        return _check_url(url, _ARCHIVE_SCHEMES)


class MqttConfig(Section):
    """The broker, and what is taken from it."""

    url: str = Field(
        default=EMBEDDED,
        description="embedded, mqtt://host:port, mqtts://host:port, unix:///path",
    )
    prefix: Prefix = Field(default="longwatch", description="first part of every topic")
    username: str | None = Field(default=None, description="who we are to the broker")
    password: SecretStr | None = Field(default=None, description="goes with username")
    ca_file: str | None = Field(
        default=None, description="certificates to check mqtts:// by"
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

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, ca_file: str | None) -> str | None:
        if ca_file is not None and not Path(ca_file).is_file():
            raise ValueError(f"found {ca_file!r}, allowed: a file that exists")
        return ca_file

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
            version=version,
            max_questions=self.max_questions,
            max_question_bytes=self.max_question_bytes,
            default_deadline_s=self.default_deadline_s,
        )


class LogConfig(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is logged"
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, else JSON"
    )


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
