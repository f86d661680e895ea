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
from typing import Annotated, Any

import typer

from agent.archive_commands import app as archive_commands
from agent.asker import ask as ask_agent
from agent.asker import states
from agent.command_line import (
    AsJson,
    ConfigFile,
    MaybeConfig,
    err,
    fail,
    load_or_fail,
    mqtt_settings,
    out,
)
from agent.config import Config
from agent.errors import AgentError
from agent.live_commands import app as live_commands
from agent.live_commands import watches as watch_commands
from agent.logs import set_up_logging
from agent.mcp_commands import app as mcp_commands
from agent.model_commands import app as model_commands
from agent.mqtt_settings import MqttSettings
from agent.screen import answer_panel, camera_table, links, show_delta
from memory.errors import MemoryStoreError

STATUS_WAIT_S = 1.0  # retained states arrive at once; this ends the wait for more

app = typer.Typer(
    help="Ask live cameras what they saw.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(archive_commands, name="archive")
app.add_typer(model_commands)  # without a name: commands like any other
app.add_typer(live_commands)
app.add_typer(mcp_commands)
app.add_typer(watch_commands, name="watch")
Streamed = Annotated[
    bool | None,
    typer.Option("--stream/--no-stream", help="As it comes; by itself on a terminal."),
]


@app.command()
def run(config: ConfigFile) -> None:
    """Watch the cameras and answer questions until stopped."""
    settings = load_or_fail(config)
    set_up_logging(settings.log.level, settings.log.format)
    try:
        asyncio.run(_serve(settings))
    except (AgentError, MemoryStoreError) as exc:
        fail(str(exc), status=2)


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
    conversation: Annotated[
        str | None, typer.Option(help="Earlier questions of the same are seen.")
    ] = None,
    *,
    stream: Streamed = None,
    as_json: AsJson = False,
) -> None:
    """Ask a running agent over MQTT."""
    stream = err.is_terminal if stream is None else stream
    body: dict[str, object] = {"question": question}
    body |= {"conversation": conversation} if conversation else {}
    body |= {"cameras": camera} if camera else {}
    body |= {"from": start} if start else {}
    body |= {"to": end} if end else {}
    try:
        settings = mqtt_settings(config)
        show = partial(show_delta, err) if stream else None
        answer = asyncio.run(
            ask_agent(settings, body, deadline_s=deadline_s, on_delta=show)
        )
    except AgentError as exc:
        fail(str(exc), status=2)
    if stream:
        err.print()
    if as_json:
        out.print_json(json.dumps(answer))
    else:
        out.print(answer_panel(answer))
        for link in links(answer):
            out.print(link, markup=False, highlight=False, soft_wrap=True)
    if answer["status"] == "error":
        raise typer.Exit(1)


@app.command()
def status(config: MaybeConfig = None, *, as_json: AsJson = False) -> None:
    """Show how the agent and its cameras are; exit status 1 if the agent is offline."""
    try:
        found = asyncio.run(_states(mqtt_settings(config)))
    except AgentError as exc:
        fail(str(exc), status=2)
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
    settings = load_or_fail(config)
    count = len(settings.cameras)
    plural = "" if count == 1 else "s"
    out.print(f"{config}: good, {count} camera{plural}", soft_wrap=True)


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
        fail(str(exc), status=2)


async def _serve(config: Config) -> None:
    # Imported here: torch takes seconds, and asking needs none of it.
    from agent.app import run as run_agent
    from agent.assembly import open_agent

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
