"""The model section of a config, as the model layer takes it."""

from agent.config_sections import ModelConfig
from agent.vlm.loading import ModelSettings


def model_settings(config: ModelConfig) -> ModelSettings:
    """Build what a model is loaded by."""
    return ModelSettings(
        config.name,
        config.revision,
        config.device,
        config.dtype,
        config.max_pixels,
        None if config.attention == "auto" else config.attention,
        config.cache_folder,
        config.offline,
        config.weights,
    )
