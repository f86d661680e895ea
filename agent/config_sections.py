"""The sections of the config file: settings, bounds, defaults.

`configs/default.yaml` shows them to a user and is tested to say the same.
"""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

MIN_TEMPERATURE = 0.01  # below it nothing is left to chance, and logits may overflow
Method = Literal["novelty", "value_norm", "pooling"]
Numbers = Literal["model", "float32", "bfloat16", "int8", "int4"]


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"found {name!r}, allowed: such as Europe/Berlin") from None
    return name


def _check_file(file: str) -> str:
    if not Path(file).is_file():
        raise ValueError(f"found {file!r}, allowed: a file that exists")
    return file


TimeZone = Annotated[str, AfterValidator(_check_zone)]
ExistingFile = Annotated[str, AfterValidator(_check_file)]
CameraName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


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
    weights: Literal["full", "int8", "nf4"] = Field(
        default="full", description="of the language model; full: in the dtype"
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        default="auto", description="implementation; auto: the library's choice"
    )
    cache_folder: Path | None = Field(
        default=None, description="where downloads are kept; null: as the hub library"
    )
    offline: bool = Field(
        default=False, description="read only what is on this machine"
    )
    context_chunks: int = Field(
        default=1,
        ge=0,
        le=64,
        description="chunks before it that a chunk is prefilled against",
    )
    prefill_tokens: int = Field(
        default=8192,
        ge=1,
        description="most visual tokens of cameras' chunks prefilled side by side",
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
        default=16, ge=2, le=1024, description="tokens in / tokens kept, in H-KV"
    )
    low_factor: int = Field(
        default=2, ge=1, le=1024, description="tokens in / tokens kept, in L-KV"
    )
    high_method: Method = Field(default="novelty", description="how H-KV is chosen")
    low_method: Method = Field(default="novelty", description="how L-KV is chosen")
    high_numbers: Numbers = Field(default="model", description="H-KV in the archive")
    low_numbers: Numbers = Field(default="model", description="L-KV in the archive")
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
    minute_factor: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="tokens in / tokens kept, when old chunks become a minute",
    )
    hour_factor: int = Field(
        default=16, ge=1, le=1024, description="likewise, minutes an hour"
    )
    day_factor: int = Field(
        default=8, ge=1, le=1024, description="likewise, hours a day"
    )
    index_bytes: int = Field(
        default=1 << 28,
        ge=0,
        description="memory for marks of all chunks and fine keys of the newest",
    )
    index_keys: int = Field(
        default=8,
        ge=1,
        le=4096,
        description="keys per chunk and head that relevance uses",
    )
    picture_side: int = Field(
        default=384,
        ge=0,
        le=2048,
        description="longer side of the JPEG of a chunk, in pixels; 0: none",
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


class AnswersConfig(Section):
    """How answers are decoded."""

    temperature: float = Field(
        default=0.0, ge=0, le=2, description="0: the likeliest token, always"
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the likeliest tokens that are drawn from",
    )
    seed: int | None = Field(
        default=0,
        ge=0,
        lt=1 << 63,
        description="where chance begins, in every answer; null: anywhere",
    )

    abstain: bool = Field(
        default=True, description="say so where the model is not sure"
    )

    @field_validator("temperature")
    @classmethod
    def _no_overflow(cls, temperature: float) -> float:
        if 0 < temperature < MIN_TEMPERATURE:
            allowed = f"0, or {MIN_TEMPERATURE} and more"
            raise ValueError(f"found {temperature}, allowed: {allowed}")
        return temperature


class StandingConfig(Section):
    """What standing questions may cost."""

    share: float = Field(
        default=0.1, gt=0, le=1, description="of the model's time, all together"
    )


class LogConfig(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is logged"
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, else JSON"
    )
