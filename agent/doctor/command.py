"""What `longwatch doctor` examines: what a config says, and the options before it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.calibration.run import Plan
from agent.config import Config
from agent.config_sections import MemoryConfig, ModelConfig
from agent.doctor.examine import Examination
from agent.model_list import watching_of
from agent.model_settings import model_settings

PLAN = Plan("camera", streams=16, chunks=32)  # as `longwatch calibrate` has it


def examination_of(
    config: Config | None, options: Mapping[str, Any], *, calibrate: bool
) -> Examination:
    """Put together what is examined.

    Args:
        config: Whose model it is, and whose first camera; None: the defaults.
        options: Of `ModelSettings`, those that go before the config; None: not given.
        calibrate: Whether it is calibrated, too.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = model_settings(config.model if config else ModelConfig())
    camera = next(iter(config.cameras.values())) if config else None
    watching = watching_of(camera, config.memory if config else MemoryConfig())
    plan = PLAN if calibrate else None
    return Examination(replace(settings, **given), watching, plan)
