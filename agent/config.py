"""The config file as a whole: `load_config` is the way in.

Its sections are in `config_sections.py`, how YAML becomes values with lines in
`config_file.py`, how mistakes become sentences in `config_report.py`.
"""

import os
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from tzlocal import get_localzone

from agent.config_cameras import CameraConfig
from agent.config_file import read_config_file
from agent.config_http import HttpConfig
from agent.config_report import report
from agent.config_sections import (
    AnswersConfig,
    CameraName,
    LogConfig,
    MemoryConfig,
    ModelConfig,
    Section,
    StandingConfig,
    TimeZone,
)
from agent.config_servers import ArchiveConfig, MqttConfig
from ingest.settings import CameraSettings


class Config(Section):
    """The whole config file."""

    data_dir: Path = Field(
        default=Path("data"), description="where the agent keeps its files"
    )
    cameras: dict[CameraName, CameraConfig] = Field(
        min_length=1, description="the cameras, by name"
    )
    time_zone: TimeZone | None = Field(
        default=None, description="of cameras that name none; null: the machine's"
    )
    model: ModelConfig = ModelConfig()
    memory: MemoryConfig = MemoryConfig()
    answers: AnswersConfig = AnswersConfig()
    standing: StandingConfig = StandingConfig()
    archive: ArchiveConfig = ArchiveConfig()
    mqtt: MqttConfig = MqttConfig()
    http: HttpConfig = HttpConfig()
    log: LogConfig = LogConfig()

    @field_validator(
        "model",
        "memory",
        "answers",
        "standing",
        "archive",
        "mqtt",
        "http",
        "log",
        mode="before",
    )
    @classmethod
    def _fill_empty(cls, section: object) -> object:
        """A section with every line commented out is null in YAML."""
        return {} if section is None else section

    @field_validator("model", mode="before")
    @classmethod
    def _name_alone(cls, section: object) -> object:
        """`model: NAME` is all that most configs say about it."""
        return {"name": section} if isinstance(section, str) else section

    @field_validator("cameras")
    @classmethod
    def _no_reserved_names(
        cls, cameras: dict[str, CameraConfig]
    ) -> dict[str, CameraConfig]:
        if "answers" in cameras:
            raise ValueError("found a camera named answers, allowed: any other name")
        return cameras

    @field_validator("http")
    @classmethod
    def _tokens_name_cameras(cls, http: HttpConfig, info: ValidationInfo) -> HttpConfig:
        there = set(info.data.get("cameras", ()))
        for token in http.tokens if there else ():
            for camera in set(token.cameras or ()) - there:
                found = f"found {camera!r} in the token {token.name!r}"
                raise ValueError(f"{found}, allowed: {', '.join(sorted(there))}")
        return http

    def camera_settings(self) -> tuple[CameraSettings, ...]:
        """Build what `ingest` reads the cameras by."""
        return tuple(
            camera.settings(name, self.data_dir)
            for name, camera in self.cameras.items()
        )

    def time_zones(self) -> dict[str, tzinfo]:
        """Give the time zone of each camera, by which people near it tell the time."""
        names = {n: c.time_zone or self.time_zone for n, c in self.cameras.items()}
        here = get_localzone()
        return {n: ZoneInfo(zone) if zone else here for n, zone in names.items()}


def load_config(
    path: Path | str, environment: Mapping[str, str] | None = None
) -> Config:
    """Read a config file.

    Args:
        path: The YAML file.
        environment: Where `${NAME}` is looked up, by default in the environment.

    Raises:
        ConfigError: There are mistakes in it; all of them are named, with their lines.
    """
    file = read_config_file(
        Path(path), os.environ if environment is None else environment
    )
    data: Any = {} if file.data is None else file.data
    errors = []
    try:
        config = Config.model_validate(data)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    if errors or file.mistakes:
        # Outside of the except clause: pydantic's own error may show a secret.
        raise report(file, errors, Config)
    return config
