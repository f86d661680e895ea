"""What the commands share: where they print, options, and how one ends."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from agent.config import Config, load_config
from agent.errors import AgentError
from agent.mqtt_settings import MqttSettings

out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", help="Config file.", envvar="LONGWATCH_CONFIG")
]
MaybeConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Config file that names the broker; without it, the embedded one.",
        envvar="LONGWATCH_CONFIG",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_or_fail(path: Path) -> Config:
    """Read a config; one with mistakes ends the command."""
    try:
        return load_config(path)
    except AgentError as exc:
        fail(str(exc), status=2)


def mqtt_settings(path: Path | None) -> MqttSettings:
    """Give how to reach the broker: the config's, else an embedded one's default.

    Raises:
        ConfigError: There are mistakes in the config.
    """
    if path is not None:
        return load_config(path).mqtt.settings()
    return MqttSettings(url="mqtt://127.0.0.1:1883")


def fail(message: str, *, status: int) -> NoReturn:
    """End the command with a message and an exit status."""
    err.print(f"longwatch: {message}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)
