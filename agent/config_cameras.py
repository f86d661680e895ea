"""The section of the config file about a camera; its defaults are those of `ingest`."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from agent.config_sections import CameraName, Section, TimeZone
from agent.standing.definition import (
    COOLDOWN_S,
    MARGIN,
    MAX_COOLDOWN_S,
    MAX_QUESTION,
    StandingBody,
    StandingQuestion,
)
from ingest.films import Recording
from ingest.settings import CameraSettings, Decoding

_CAMERA: dict[str, Any] = {
    field.name: None if field.default is MISSING else field.default
    for field in fields(CameraSettings)
}

_PLAIN: dict[str, Any] = {"name": "camera", "address": "camera.mp4", "max_chunk_s": 1}
_OTHER_RATES = ("burst_fps", "floor_fps")
_FILMS: dict[str, Any] = {field.name: field.default for field in fields(Recording)}


class RecordConfig(Section):
    """Films of what a camera sent, on disk."""

    film_s: float = Field(
        default=_FILMS["film_s"], ge=1, le=3600, description="length of a film"
    )
    max_bytes: int = Field(
        default=_FILMS["max_bytes"], ge=1 << 20, description="of a camera's films"
    )
    retention_hours: float = Field(
        default=_FILMS["max_age_s"] / 3600,
        gt=0,
        le=876_000,
        description="age of a film",
    )

    def recording(self, folder: Path) -> Recording:
        """Build what `ingest` records by."""
        max_age_s = self.retention_hours * 3600
        return Recording(str(folder), self.film_s, self.max_bytes, max_age_s)


class WatchConfig(Section):
    """A standing question."""

    question: str = Field(
        min_length=1, max_length=MAX_QUESTION, description="answered by yes or no"
    )
    margin: float = Field(
        default=MARGIN, ge=-20, le=20, description="least log-odds of a yes"
    )
    cooldown_s: float = Field(
        default=COOLDOWN_S,
        ge=0,
        le=MAX_COOLDOWN_S,
        description="least seconds between two alerts",
    )
    enabled: bool = Field(default=True, description="whether it is asked")

    def build(self, camera: str, name: str) -> StandingQuestion:
        """Build what the agent asks."""
        body = StandingBody(**dict(self))
        return body.build(camera, name, "config")


class CameraConfig(Section):
    """One camera; its bounds are those of `ingest.settings.CameraSettings`."""

    address: str = Field(
        description="a file, a URL that FFmpeg opens, or simulated:...", repr=False
    )
    format: str | None = Field(
        default=_CAMERA["format"], description="FFmpeg's input format; null: found out"
    )
    fps: float = Field(default=_CAMERA["fps"], description="frames sampled per second")
    burst_fps: float | None = Field(
        default=_CAMERA["burst_fps"], description="while something moves; null: as fps"
    )
    floor_fps: float | None = Field(
        default=_CAMERA["floor_fps"], description="while nothing differs; null: as fps"
    )
    motion: float = Field(
        default=_CAMERA["motion"], description="share of the picture that moves then"
    )
    decoding: Decoding = Field(
        default=_CAMERA["decoding"],
        description="all, calm_keyframes (only these while nothing moves), keyframes",
    )
    chunk_frames: int = Field(
        default=_CAMERA["chunk_frames"], description="frames in a chunk"
    )
    max_chunk_s: float | None = Field(
        default=_CAMERA["max_chunk_s"], description="length of a chunk; null: any"
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
    reader_bytes: int = Field(
        default=_CAMERA["reader_bytes"], description="memory of the process that reads"
    )
    record: RecordConfig | None = Field(
        default=None, description="films on disk; null: none"
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="FFmpeg options", repr=False
    )
    watch: dict[CameraName, WatchConfig] = Field(
        default_factory=dict, description="standing questions, by name"
    )
    time_zone: TimeZone | None = Field(
        default=None, description="where it hangs; null: as of all cameras"
    )
    least_change: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="visual tokens that changed less are not prefilled; 0: all are",
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
        """Let the camera's own settings judge each field of theirs by itself."""
        if info.field_name in _CAMERA:
            probe = _PLAIN | {info.field_name: value}
            if info.field_name in _OTHER_RATES and value is not None:
                probe["fps"] = value
            CameraSettings(**probe)
        return value

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Let them judge all together, once each is good."""
        self.settings("camera", Path())
        return self

    def settings(self, name: str, data_dir: Path) -> CameraSettings:
        """Build what `ingest` reads this camera by."""
        read = {key: value for key, value in self if key in _CAMERA}
        if self.record is not None:
            read["recording"] = self.record.recording(data_dir / "recordings" / name)
        return CameraSettings(name=name, **read)
