"""The standing questions that the config file has."""

from agent.config import Config
from agent.standing.definition import StandingQuestion


def configured(config: Config) -> list[StandingQuestion]:
    """Give them, of all cameras."""
    return [
        watch.build(camera, name)
        for camera, settings in config.cameras.items()
        for name, watch in settings.watch.items()
    ]
