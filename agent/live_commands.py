"""Commands for a running agent: follow it, pause a camera, set standing questions."""

import asyncio
import json
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from agent.asker import command, following, tell
from agent.command_line import AsJson, MaybeConfig, err, fail, mqtt_settings, out
from agent.errors import AgentError
from agent.mqtt_settings import MqttSettings
from agent.screen import news_line

LIST_WAIT_S = 5.0
TAIL = ("status", "+/status", "+/last_answer", "+/alerts")

app = typer.Typer()
watches = typer.Typer(help="Standing questions: be told when something happens.")
Camera = Annotated[str, typer.Argument(help="Name of the camera.")]
Name = Annotated[str, typer.Argument(help="Name of the standing question.")]
ResultT = TypeVar("ResultT")


@app.command()
def tail(config: MaybeConfig = None, *, as_json: AsJson = False) -> None:
    """Follow what is remembered, answered and found, until stopped."""
    _run(_tail(mqtt_settings(config), as_json=as_json))


@app.command()
def pause(camera: Camera, config: MaybeConfig = None) -> None:
    """Stop watching a camera; what it shows meanwhile is a gap."""
    _do(config, f"{camera}/watching", b"off", f"{camera} is paused")


@app.command()
def resume(camera: Camera, config: MaybeConfig = None) -> None:
    """Watch a camera again."""
    _do(config, f"{camera}/watching", b"on", f"{camera} is watched")


@watches.command()
def add(
    camera: Camera,
    name: Name,
    question: Annotated[str, typer.Argument(help="Answered by yes or no.")],
    cooldown_s: Annotated[
        float | None, typer.Option(min=0, help="Least seconds between two alerts.")
    ] = None,
    config: MaybeConfig = None,
) -> None:
    """Set a standing question, in the place of one of the same name."""
    body: dict[str, object] = {"question": question}
    body |= {} if cooldown_s is None else {"cooldown_s": cooldown_s}
    payload = json.dumps(body).encode()
    _do(config, f"{camera}/watch/{name}", payload, f"{camera}/{name} is asked")


@watches.command()
def remove(camera: Camera, name: Name, config: MaybeConfig = None) -> None:
    """Remove a standing question."""
    _do(config, f"{camera}/watch/{name}", b"", f"{camera}/{name} is removed")


@watches.command("list")
def list_watches(config: MaybeConfig = None, *, as_json: AsJson = False) -> None:
    """Show the standing questions, and how each stands."""
    found = _run(_watches(mqtt_settings(config)))
    if as_json:
        out.print_json(json.dumps(found))
        return
    table = Table("camera", "name", "question", "state", "last alert", box=None)
    for each in found:
        last = each.get("last_alert") or "-"
        state = str(each.get("state", "-"))
        table.add_row(each["camera"], each["name"], each["question"], state, str(last))
    out.print(table)


def _do(config: Path | None, path: str, payload: bytes, done: str) -> None:
    _run(command(mqtt_settings(config), path, payload))
    out.print(done, markup=False, highlight=False)


def _run(job: Coroutine[Any, Any, ResultT]) -> ResultT:
    try:
        return asyncio.run(job)
    except AgentError as exc:
        fail(str(exc), status=2)


async def _tail(settings: MqttSettings, *, as_json: bool) -> None:
    chunks: dict[str, str] = {}
    async with following(settings, TAIL) as messages:
        async for path, message in messages:
            with suppress(ValueError):  # not one of ours
                body: Any = message.payload.decode()
                if path != ["status"]:
                    body = json.loads(body)
                if path[-1] == "status" and path != ["status"]:
                    news = f"{body['state']} {body['last_chunk']}"
                    if chunks.get(path[0]) == news:
                        continue
                    chunks[path[0]] = news
                told = {"topic": "/".join(path), "body": body}
                if as_json:
                    out.out(json.dumps(told), highlight=False)
                else:
                    out.print(news_line(path, body), soft_wrap=True)


async def _watches(settings: MqttSettings) -> list[dict[str, Any]]:
    """Collect what is retained; a message of our own comes behind the last of it."""
    end = f"answers/{uuid.uuid4().hex}"
    found = []
    try:
        async with (
            asyncio.timeout(LIST_WAIT_S),
            following(settings, ("+/watch/+/state", end)) as messages,
        ):
            await tell(settings, end, b"end")
            async for path, message in messages:
                match path:  # amqtt sends what is retained elsewhere, too
                    case ["answers", _]:
                        break
                    case [camera, "watch", name, "state"] if message.payload:
                        state = json.loads(message.payload)
                        found.append({"camera": camera, "name": name, **state})
    except TimeoutError:
        err.print("longwatch: the broker is slow: there may be more", highlight=False)
    return sorted(found, key=lambda each: (each["camera"], each["name"]))
