"""The families that are supported, by the `model_type` of their configuration."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agent.vlm.family import Family
from agent.vlm.internvl import InternVL3
from agent.vlm.llava_onevision import LlavaOneVision
from agent.vlm.qwen2_5_vl import Qwen25VL
from agent.vlm.qwen3_vl import Qwen3VL
from agent.vlm.smolvlm import SmolVLM2

FAMILIES: Mapping[str, Family[Any]] = MappingProxyType(
    {
        "qwen2_5_vl": Qwen25VL(),
        "qwen3_vl": Qwen3VL(),
        "llava_onevision": LlavaOneVision(),
        "smolvlm": SmolVLM2(),
        "internvl": InternVL3(),
    }
)


def family_of(config: Any) -> Family[Any]:
    """Give the family of a configuration.

    Raises:
        ValueError: It is none of those supported; all of them are named.
    """
    if config.model_type in FAMILIES:
        return FAMILIES[config.model_type]
    supported = ", ".join(family.title for family in FAMILIES.values())
    message = f"{config.model_type} is not supported; supported: {supported}"
    if config.model_type.startswith("internvl"):
        message += " (InternVL3 by its repositories that end in -hf)"
    raise ValueError(message)
