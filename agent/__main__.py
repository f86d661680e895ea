"""The `longwatch` command."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from agent.asker import ask as ask_agent
from agent.asker import states
from agent.config import Config, load_config
from agent.errors import AgentError
from agent.logs import set_up_logging
from agent.mqtt_settings import MqttSettings
from agent.screen import answer_panel, camera_table, show_delta
from ingest.simulation.split import CALIBRATION
from memory.errors import MemoryStoreError

STATUS_WAIT_S = 1.0  # retained states arrive at once; this ends the wait for more

app = typer.Typer(
    help="Ask live cameras what they saw.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
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
Streamed = Annotated[bool, typer.Option("--stream", help="Show it as it comes.")]


@app.command()
def run(config: ConfigFile) -> None:
    """Watch the cameras and answer questions until stopped."""
    settings = _load(config)
    set_up_logging(settings.log.level, settings.log.format)
    try:
        asyncio.run(_serve(settings))
    except (AgentError, MemoryStoreError) as exc:
        _fail(str(exc), status=2)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    config: MaybeConfig = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="Ask about this camera; may be repeated.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="ISO 8601 or Unix seconds.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="ISO 8601 or Unix seconds.")
    ] = None,
    deadline_s: Annotated[
        float, typer.Option(min=0.1, max=3600.0, help="Seconds to wait.")
    ] = 60.0,
    *,
    stream: Streamed = False,
    as_json: AsJson = False,
) -> None:
    """Ask a running agent over MQTT."""
    body: dict[str, object] = {"question": question}
    body |= {"cameras": camera} if camera else {}
    body |= {"from": start} if start else {}
    body |= {"to": end} if end else {}
    try:
        settings = _mqtt(config)
        show = partial(show_delta, err) if stream else None
        answer = asyncio.run(
            ask_agent(settings, body, deadline_s=deadline_s, on_delta=show)
        )
    except AgentError as exc:
        _fail(str(exc), status=2)
    if stream:
        err.print()
    out.print_json(json.dumps(answer)) if as_json else out.print(answer_panel(answer))
    if answer["status"] == "error":
        raise typer.Exit(1)


@app.command()
def status(config: MaybeConfig = None, *, as_json: AsJson = False) -> None:
    """Show how the agent and its cameras are; exit status 1 if the agent is offline."""
    try:
        found = asyncio.run(_states(_mqtt(config)))
    except AgentError as exc:
        _fail(str(exc), status=2)
    agent = found.pop("", {"state": "unknown"})["state"]
    if as_json:
        out.print_json(json.dumps({"agent": agent, "cameras": found}))
    else:
        out.print(f"agent: {agent}")
        out.print(camera_table(found))
    if agent != "online":
        raise typer.Exit(1)


@app.command("check-config")
def check_config(config: Annotated[Path, typer.Argument(help="Config file.")]) -> None:
    """Say what is wrong in a config file; exit status 2 if anything is."""
    settings = _load(config)
    count = len(settings.cameras)
    plural = "" if count == 1 else "s"
    out.print(f"{config}: good, {count} camera{plural}", soft_wrap=True)


@app.command()
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="builtin, folders, or hub repositories; none: all known."),
    ] = None,
    config: MaybeConfig = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the models that can be named, and what an hour of a camera costs."""
    from agent.config_sections import MemoryConfig, ModelConfig
    from agent.model_list import list_models, show_models, watching_of
    from agent.model_settings import model_settings

    settings = None if config is None else _load(config)
    camera = next(iter(settings.cameras.values())) if settings else None
    watching = watching_of(camera, settings.memory if settings else MemoryConfig())
    model = model_settings(settings.model if settings else ModelConfig())
    try:
        rows = list_models(names or [], model, watching)
    except AgentError as exc:
        _fail(str(exc), status=2)
    if as_json:
        out.print_json(json.dumps([row.as_json() for row in rows]))
    else:
        out.print(show_models(rows, watching))


@app.command()
def demo(
    video: Annotated[
        str | None,
        typer.Option(help="A file or an address of your own to watch instead."),
    ] = None,
    model: Annotated[str, typer.Option(help="The model to ask.")] = "builtin",
    seed: Annotated[int, typer.Option(min=0, help="Which simulated world.")] = 11,
    watch_s: Annotated[
        float, typer.Option(min=5, help="Most seconds to watch before asking.")
    ] = 30.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what was printed as data.")
    ] = None,
) -> None:
    """Watch two cameras, ask about the past, restart, ask again."""
    from agent.demo import DemoSettings, run_demo

    try:
        settings = DemoSettings(video, model, seed, watch_s, json_file)
        asyncio.run(_until_terminated(run_demo(settings, out)))
    except AgentError as exc:
        _fail(str(exc), status=2)


@app.command()
def calibrate(
    model: Annotated[
        str, typer.Option(help="builtin, a folder, or a hub repository.")
    ] = "builtin",
    source: Annotated[
        Literal["camera", "text"],
        typer.Option("--with", help="Simulated cameras, or a written log: no vision."),
    ] = "camera",
    streams: Annotated[
        int, typer.Option(min=2, max=len(CALIBRATION), help="Half are held out.")
    ] = 16,
    chunks: Annotated[
        int, typer.Option(min=8, max=128, help="Chunks of a stream.")
    ] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    revision: Annotated[str | None, typer.Option(help="Of the hub repository.")] = None,
    weights: Annotated[
        Literal["full", "int8", "nf4"], typer.Option(help="As the config holds them.")
    ] = "full",
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="Write here, not where the model looks for it."),
    ] = None,
) -> None:
    """Find the heads of a model that know which chunk a question means."""
    from agent.calibration.command import calibrate_model
    from agent.calibration.run import Plan
    from agent.vlm.loading import ModelSettings

    set_up_logging("error", "auto")  # that it was never calibrated is no news here
    settings = ModelSettings(model, revision, device, weights=weights)
    try:
        calibrate_model(settings, Plan(source, streams, chunks), out_file, out)
    except (AgentError, OSError) as exc:
        _fail(str(exc), status=2)


async def _serve(config: Config) -> None:
    # Imported here: torch takes seconds, and asking needs none of it.
    from agent.app import open_agent
    from agent.app import run as run_agent

    stop = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    is_open = False

    def end() -> None:
        """Stop a running agent; cancel one that is still starting."""
        if task is not None and not is_open:
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        async with open_agent(config) as agent:
            is_open = True
            await run_agent(agent, stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


async def _until_terminated(job: Coroutine[Any, Any, None]) -> None:
    """Run a job to its end, or clean up and leave when terminated."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await job
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


async def _states(settings: MqttSettings) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    async with states(settings) as arriving:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STATUS_WAIT_S):
                async for camera, state in arriving:
                    found |= {camera: state}
    return found


def _load(path: Path) -> Config:
    try:
        return load_config(path)
    except AgentError as exc:
        _fail(str(exc), status=2)


def _mqtt(path: Path | None) -> MqttSettings:
    """Give how to reach the broker: the config's, else an embedded one's default."""
    if path is not None:
        return load_config(path).mqtt.settings()
    return MqttSettings(url="mqtt://127.0.0.1:1883")


def _fail(message: str, *, status: int) -> NoReturn:
    err.print(f"longwatch: {message}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)


def main() -> None:
    """Run the command line; a closed pipe or Ctrl-C is no traceback."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
