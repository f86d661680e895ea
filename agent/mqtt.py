"""Questions in, answers and states out, over a broker that may come and go.

`docs/protocol.md` tells the topics and payloads. The connection itself is in
`mqtt_client.py`, what is waiting to be published in `outbox.py`.
"""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Self

from agent.errors import (
    BrokerUnavailableError,
    InvalidQuestionError,
    TooManyQuestionsError,
)
from agent.messages import (
    Answer,
    Delta,
    Question,
    ReplyTo,
    answer_to_json,
    delta_to_json,
    error_answer,
)
from agent.mqtt_client import Dialer, Link, Message
from agent.mqtt_properties import response_properties
from agent.mqtt_settings import MqttSettings
from agent.outbox import Letter, Outbox
from agent.questions import QuestionRules, find_reply, parse_question
from agent.recent_answers import RecentAnswers

log = logging.getLogger(__name__)

_MAX_LETTERS = 256
_MAX_TRIES = 5  # of one message, each of which ended a connection
_MAX_BACKOFF_S = 30.0
_STEADY_S = 10.0  # a connection that lasted this long starts the back-off anew
_GRACE_S = 10.0  # an answer is tried for this long even at the end of its deadline
_FAREWELL_S = 2.0
_DELTA_TIMEOUT_S = 1.0  # the final answer waits behind it


class MqttBus:
    """The agent's side of the protocol. A broker that is away stops nothing.

    Args:
        settings: The broker, the prefix, the limits.
        cameras: Names that a question may name.
    """

    def __init__(self, settings: MqttSettings, *, cameras: Iterable[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._rules = QuestionRules(
            settings.prefix,
            frozenset(cameras),
            settings.max_question_bytes,
            settings.default_deadline_s,
        )
        self._own = f"{settings.prefix}/"
        self._status_topic = f"{self._own}status"
        # Bound: max_questions. Policy: refuse. Metric: counts["refused"].
        self._questions = asyncio.Queue[Question](settings.max_questions)
        self._recent = RecentAnswers()
        self._outbox = Outbox(_MAX_LETTERS)
        self._camera_states: dict[str, Letter] = {}
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
            yield await self._questions.get()

    def answer(self, question: Question, answer: Answer) -> None:
        """Send the final answer, now or when the broker is back in time."""
        self._recent.close(question, answer)
        self._post(question, answer)

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
        topic = f"{self._settings.prefix}/{camera}/status"
        payload = json.dumps(state, allow_nan=False).encode()
        letter = Letter(topic, payload, float("inf"), retain=True)
        self._camera_states[camera] = letter
        self._outbox.put(letter)

    async def _keep_up(self) -> None:
        """Stay connected for ever: full jitter, doubling, up to a cap."""
        will = Message(self._status_topic, b"offline", retained=True)
        name = f"{self._settings.prefix.replace('/', '-')}-agent"
        dialer = Dialer(self._settings, name, will=will, keep_session=True)
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
        prefix = self._settings.prefix
        await link.subscribe((f"{prefix}/ask", f"{prefix}/+/ask"))
        await link.publish(self._status_topic, b"online", retain=True)
        for letter in self._camera_states.values():
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
                self._receive(message)
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
                    properties=response_properties(letter.correlation),
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

    def _receive(self, message: Message) -> None:
        *camera_level, last = message.topic.removeprefix(self._own).split("/")
        if last != "ask":  # amqtt sends a new client what others subscribed to, too
            return
        self.counts["questions"] += 1
        if message.retained:  # else it would be asked again at every reconnect
            self.counts["retained"] += 1
            return
        camera = camera_level[0] if camera_level else None
        reply = None
        if message.response_topic is not None:
            reply = ReplyTo(message.response_topic, message.correlation)
        try:
            question = parse_question(
                message.payload, self._rules, camera=camera, reply=reply
            )
        except InvalidQuestionError as error:
            self._reject(message, reply, error)
        else:
            self._admit(question)

    def _admit(self, question: Question) -> None:
        if self._recent.is_open(question):
            self.counts["repeated"] += 1
        elif (answer := self._recent.find(question)) is not None:
            self.counts["repeated"] += 1
            self._post(question, answer)
        elif self._questions.full():
            self.counts["refused"] += 1
            error = TooManyQuestionsError(self._settings.max_questions)
            refusal = error_answer(question.id, error.code, str(error), question.text)
            self._post(question, refusal)
        else:
            self._recent.open(question)
            self._questions.put_nowait(question)

    def _reject(
        self, message: Message, reply: ReplyTo | None, error: InvalidQuestionError
    ) -> None:
        self.counts["malformed"] += 1
        question_id, found = find_reply(message.payload, self._rules, reply)
        log.warning(
            "malformed question (%s, %d bytes)", error.code, len(message.payload)
        )
        if found is not None:
            payload = answer_to_json(
                error_answer(question_id, error.code, error.reason)
            )
            expires_s = time.monotonic() + self._settings.default_deadline_s
            self._outbox.put(
                Letter(found.topic, payload, expires_s, correlation=found.correlation)
            )

    def _post(self, question: Question, answer: Answer) -> None:
        reply = question.reply
        expires_s = max(question.expires_s, time.monotonic() + _GRACE_S)
        self._outbox.put(
            Letter(
                reply.topic,
                answer_to_json(answer),
                expires_s,
                correlation=reply.correlation,
            )
        )

    async def _say_farewell(self) -> None:
        """Refuse what is still open, send what waits, and say that we are off."""
        for question in self._recent.open_questions():
            refusal = error_answer(
                question.id, "shutting_down", "the agent is stopping", question.text
            )
            self.answer(question, refusal)
        if self._link is None:
            return
        with contextlib.suppress(BrokerUnavailableError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._outbox.drained()
                await self._link.publish(self._status_topic, b"offline", retain=True)
