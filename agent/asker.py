"""The asker's side of the protocol: `longwatch ask`, the demo and the tests use it."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from agent.errors import AnswerTimeoutError, CommandRefusedError
from agent.messages import Delta
from agent.mqtt_client import Dialer, Link, Message
from agent.mqtt_properties import request_properties
from agent.mqtt_settings import MqttSettings


async def ask(
    settings: MqttSettings,
    question: str | Mapping[str, object],
    *,
    camera: str | None = None,
    deadline_s: float = 60.0,
    on_delta: Callable[[Delta], None] | None = None,
) -> dict[str, Any]:
    """Ask an agent and wait for its answer.

    Args:
        settings: The broker, and the agent's prefix.
        question: The text, or the JSON object that `docs/protocol.md` describes.
        camera: Ask about this camera only, through its own topic.
        deadline_s: How long to wait, connecting included.
        on_delta: Called with the pieces of the answer's text as they come.

    Returns:
        The answer as it came; `status` is `error` if it is one.

    Raises:
        BrokerUnavailableError: The broker can't be reached, or went away meanwhile.
        AnswerTimeoutError: No answer came within the deadline.
    """
    body = {"question": question} if isinstance(question, str) else dict(question)
    body = {"id": uuid.uuid4().hex, "deadline_s": deadline_s, **body}
    if on_delta is not None:
        body["stream"] = True
    name = uuid.uuid4().hex
    dialer = Dialer(settings, f"longwatch-ask-{name[:12]}")
    prefix = settings.prefix
    topic = f"{prefix}/{camera}/ask" if camera else f"{prefix}/ask"
    answer_topic = f"{prefix}/answers/{name}"
    try:
        async with asyncio.timeout(deadline_s), dialer.connect() as link:
            await link.subscribe((answer_topic, f"{answer_topic}/delta"))
            await _publish(link, topic, answer_topic, body)
            return await _wait(link, answer_topic, on_delta)
    except TimeoutError as exc:
        raise AnswerTimeoutError(deadline_s) from exc


@asynccontextmanager
async def states(
    settings: MqttSettings,
) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
    """Follow what an agent says of itself and of its cameras.

    Yields:
        An iterator over (camera, state) as they are published, beginning with what is
        retained; the agent's own state has the camera "" and the key `state`.

    Raises:
        BrokerUnavailableError: The broker can't be reached, or went away meanwhile.
    """
    async with following(settings, ("status", "+/status")) as messages:
        yield _read_states(messages)


@asynccontextmanager
async def following(
    settings: MqttSettings, paths: Iterable[str]
) -> AsyncIterator[AsyncIterator[tuple[list[str], Message]]]:
    """Follow what an agent publishes, beginning with what is retained.

    Args:
        settings: The broker, and the agent's prefix.
        paths: Topic filters behind the prefix.

    Yields:
        An iterator over a topic's levels behind the prefix, and the message.

    Raises:
        BrokerUnavailableError: The broker can't be reached, or went away meanwhile.
    """
    own = f"{settings.prefix}/"
    dialer = Dialer(settings, f"longwatch-listen-{uuid.uuid4().hex[:12]}")
    async with dialer.connect() as link:
        await link.subscribe([own + path for path in paths], with_retained=True)
        yield _read(link, own)


async def command(
    settings: MqttSettings, path: str, payload: bytes, *, deadline_s: float = 10.0
) -> None:
    """Tell an agent to do something about a camera, and wait until it has.

    Args:
        settings: The broker, and the agent's prefix.
        path: The topic behind the prefix, without its `/set`.
        payload: What is wanted.
        deadline_s: How long to wait, connecting included.

    Raises:
        CommandRefusedError: The agent can't do it.
        BrokerUnavailableError: The broker can't be reached, or went away meanwhile.
        AnswerTimeoutError: The agent said nothing within the deadline; one that is away
            does it when it is back.
    """
    try:
        async with (
            asyncio.timeout(deadline_s),
            following(settings, ("commands",)) as messages,
        ):
            await tell(settings, f"{path}/set", payload)
            async for levels, message in messages:
                if levels != ["commands"]:
                    continue  # amqtt sends what others subscribed to, too
                told = json.loads(message.payload)
                if told["command"] == path:
                    break
    except TimeoutError as exc:
        raise AnswerTimeoutError(deadline_s) from exc
    if error := told["error"]:
        raise CommandRefusedError(error["code"], error["message"])


async def tell(settings: MqttSettings, path: str, payload: bytes) -> None:
    """Tell an agent to do something: publish behind its prefix.

    Raises:
        BrokerUnavailableError: The broker can't be reached.
    """
    dialer = Dialer(settings, f"longwatch-tell-{uuid.uuid4().hex[:12]}")
    async with dialer.connect() as link:
        await link.publish(f"{settings.prefix}/{path}", payload)


async def _read(link: Link, own: str) -> AsyncIterator[tuple[list[str], Message]]:
    async for message in link.messages():
        if message.topic.startswith(own):
            yield message.topic.removeprefix(own).split("/"), message


async def _read_states(
    messages: AsyncIterator[tuple[list[str], Message]],
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    async for path, message in messages:
        match path:
            case ["status"]:
                yield "", {"state": message.payload.decode()}
            case [camera, "status"]:
                with contextlib.suppress(ValueError):  # not one of ours
                    state = json.loads(message.payload)
                    if isinstance(state, dict) and "state" in state:
                        yield camera, state


async def _publish(
    link: Link, topic: str, answer_topic: str, body: Mapping[str, object]
) -> None:
    if link.version == "3.1.1":
        body = {"response_topic": answer_topic, **body}
    await link.publish(
        topic,
        json.dumps(body, allow_nan=False).encode(),
        properties=request_properties(
            answer_topic, str(body["id"]).encode(), float(str(body["deadline_s"]))
        ),
    )


async def _wait(
    link: Link, answer_topic: str, on_delta: Callable[[Delta], None] | None
) -> dict[str, Any]:
    async for message in link.messages():
        # amqtt sends a new client what is retained for others' subscriptions, too.
        if message.topic == answer_topic:
            received: dict[str, Any] = json.loads(message.payload)
            return received
        if on_delta is not None and message.topic == f"{answer_topic}/delta":
            piece = json.loads(message.payload)
            on_delta(Delta(piece["seq"], piece["text"]))
    raise AssertionError("messages end with an error")
