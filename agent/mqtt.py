"""Questions in, answers and states out, over a broker that may come and go.

`docs/protocol.md` tells the topics and payloads. The connection itself is in
`mqtt_client.py`, what is waiting to be published in `outbox.py`.
"""

import asyncio
import contextlib
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Self

from agent.errors import BrokerUnavailableError
from agent.inbox import Command, Inbox
from agent.messages import Answer, Delta, Question, delta_to_json
from agent.mqtt_client import Dialer, Link, Message
from agent.mqtt_properties import payload_properties, response_properties
from agent.mqtt_settings import MqttSettings
from agent.outbox import Letter, Outbox

log = logging.getLogger(__name__)

_MAX_LETTERS = 256
_MAX_TRIES = 5  # of one message, each of which ended a connection
_MAX_BACKOFF_S = 30.0
_STEADY_S = 10.0  # a connection that lasted this long starts the back-off anew
_NEWS_S = 3600.0  # an alert of an hour ago is still worth sending
_FAREWELL_S = 2.0
_DELTA_TIMEOUT_S = 1.0  # the final answer waits behind it


class MqttBus:
    """The agent's side of the protocol. A broker that is away stops nothing.

    Args:
        settings: The broker, the prefix, the limits.
        cameras: Names that a question may name.
    """

    def __init__(self, settings: MqttSettings, *, cameras: Iterable[str]) -> None:
        self._settings = settings
        self._status_topic = f"{settings.prefix}/status"
        self._outbox = Outbox(_MAX_LETTERS)
        self._inbox = Inbox(settings, cameras, self._outbox.put)
        self._retained: dict[str, Letter] = {}
        self._link: Link | None = None
        self._failed: Letter | None = None
        self._failures = 0
        self._up = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keeping = self._tasks.create_task(self._keep_up(), name="agent.mqtt")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._say_farewell()
        finally:
            self._keeping.cancel()
            # The body's own error goes on as it is; only a cancellation concerns the
            # group, which may have caused it.
            if isinstance(exc, asyncio.CancelledError):
                await self._tasks.__aexit__(exc_type, exc, traceback)
            else:
                await self._tasks.__aexit__(None, None, None)

    async def connected(self) -> None:
        """Wait until the broker has us and our subscriptions."""
        await self._up.wait()

    @property
    def counts(self) -> Counter[str]:
        """What came, and what became of it."""
        return self._inbox.counts

    @property
    def is_connected(self) -> bool:
        """Whether the broker has us now."""
        return self._up.is_set()

    @property
    def num_dropped(self) -> int:
        """How many answers and states expired while the broker was away."""
        return self._outbox.num_dropped

    async def questions(self) -> AsyncIterator[Question]:
        """Yield questions in the order they came; each is answered with `answer`."""
        while True:
            yield await self._inbox.questions.get()

    async def commands(self) -> AsyncIterator[Command]:
        """Yield what the agent is told to do, in the order it came."""
        while True:
            yield await self._inbox.commands.get()

    def answer(self, question: Question, answer: Answer) -> None:
        """Send the final answer, now or when the broker is back in time."""
        self._inbox.close(question, answer)

    async def publish_delta(self, question: Question, delta: Delta) -> None:
        """Send the next piece of an answer; lost if the broker is away or slow."""
        link, reply = self._link, question.reply
        if link is None:
            return
        topic, payload = f"{reply.topic}/delta", delta_to_json(question.id, delta)
        properties = response_properties(reply.correlation)
        with contextlib.suppress(BrokerUnavailableError, TimeoutError):
            async with asyncio.timeout(_DELTA_TIMEOUT_S):
                await link.publish(topic, payload, qos=0, properties=properties)

    def publish_camera_status(self, camera: str, state: Mapping[str, object]) -> None:
        """Set the retained state of a camera, now and after every reconnect."""
        payload = json.dumps(state, allow_nan=False).encode()
        self.retain(f"{self._settings.prefix}/{camera}/status", payload)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish what the broker keeps, now and after every reconnect.

        An empty payload has the broker, and us, forget what was kept there.
        """
        letter = Letter(topic, payload, math.inf, retain=True)
        if payload:
            self._retained[topic] = letter
        else:
            self._retained.pop(topic, None)
        self._outbox.put(letter)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish something that happened, now or when the broker is back soon."""
        self._outbox.put(Letter(topic, payload, time.monotonic() + _NEWS_S))

    async def _keep_up(self) -> None:
        """Stay connected for ever: full jitter, doubling, up to a cap."""
        will = Message(self._status_topic, b"offline", retained=True)
        settings = self._settings
        name = settings.client_id or f"{settings.prefix.replace('/', '-')}-agent"
        dialer = Dialer(settings, name, will=will, keep_session=True)
        attempt = 0
        while True:
            begun_s = time.monotonic()
            try:
                async with dialer.connect() as link:
                    await self._serve(link)
            except BrokerUnavailableError as exc:
                log.warning("%s", exc)
            if time.monotonic() - begun_s > _STEADY_S:
                attempt = 0
            limit_s = min(_MAX_BACKOFF_S, 0.25 * 2**attempt)
            attempt = min(attempt + 1, 10)
            self.counts["reconnects"] += 1
            await asyncio.sleep(random.uniform(0, limit_s))

    async def _serve(self, link: Link) -> None:
        """Read and send over one connection until one of both fails."""
        await link.subscribe(self._inbox.topics)
        await link.publish(self._status_topic, b"online", retain=True)
        for letter in self._retained.values():
            self._outbox.put(letter)
        log.info("connected to %s with MQTT %s", self._settings.url, link.version)
        self._link = link
        self._up.set()
        try:
            async with asyncio.TaskGroup() as both:
                reading = both.create_task(self._read(link), name="agent.mqtt.read")
                sending = both.create_task(self._send(link), name="agent.mqtt.send")
                pair = (reading, sending)
                await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
                reading.cancel()
                sending.cancel()
        finally:
            self._link = None
            self._up.clear()

    async def _read(self, link: Link) -> None:
        try:
            async for message in link.messages():
                self._inbox.receive(message)
        except BrokerUnavailableError as exc:
            log.warning("%s", exc)

    async def _send(self, link: Link) -> None:
        while True:
            letter = await self._outbox.first()
            try:
                await link.publish(
                    letter.topic,
                    letter.payload,
                    retain=letter.retain,
                    properties=payload_properties(
                        letter.payload,
                        letter.correlation,
                        letter.expires_s - time.monotonic(),
                    ),
                )
            except BrokerUnavailableError as exc:
                log.warning("%s", exc)
                self._note_failure(letter)
                return
            self._outbox.remove(letter)

    def _note_failure(self, letter: Letter) -> None:
        """Give up on a letter that the broker has hung up on again and again."""
        if letter is self._failed:
            self._failures += 1
        else:
            self._failed, self._failures = letter, 1
        if self._failures >= _MAX_TRIES:
            log.warning("gave up on a message that the broker hangs up on")
            self.counts["undeliverable"] += 1
            self._outbox.remove(letter)

    async def _say_farewell(self) -> None:
        """Refuse what is still open, send what waits, and say that we are off."""
        self._inbox.refuse_all()
        if self._link is None:
            return
        with contextlib.suppress(BrokerUnavailableError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._outbox.drained()
                await self._link.publish(self._status_topic, b"offline", retain=True)
