"""What arrives at the agent's topics: questions, and commands.

Both wait in bounded queues. What can't be taken is answered by an error where that is
possible; a retained message is passed over, since it would come at every reconnect.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.errors import (
    InvalidQuestionError,
    TooManyQuestionsError,
    TooOftenError,
)
from agent.home_assistant import BIRTH_TOPIC
from agent.messages import Answer, Question, ReplyTo, answer_to_json, error_answer
from agent.mqtt_client import Message
from agent.mqtt_settings import MqttSettings
from agent.outbox import Letter
from agent.questions import QuestionRules, find_reply, parse_question
from agent.rates import Rates
from agent.recent_answers import RecentAnswers

log = logging.getLogger(__name__)

_GRACE_S = 10.0  # an answer is tried for this long even at the end of its deadline
_MAX_COMMANDS = 64


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody told the agent to do.

    Attributes:
        path: The topic's levels behind the prefix, `/set` left out.
        payload: As it came.
    """

    path: tuple[str, ...]
    payload: bytes


class Inbox:
    """Takes in what arrives.

    Args:
        settings: The prefix, the limits.
        cameras: Names that a question may name.
        post: Sends an answer, or an error, on its way.
    """

    def __init__(
        self,
        settings: MqttSettings,
        cameras: Iterable[str],
        post: Callable[[Letter], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        # Bound: max_questions. Policy: refuse. Metric: counts["refused"].
        self.questions = asyncio.Queue[Question](settings.max_questions)
        # Bound: _MAX_COMMANDS. Policy: drop the new one. Metric: counts["ignored"].
        self.commands = asyncio.Queue[Command](_MAX_COMMANDS)
        self._settings, self._post = settings, post
        self._own = f"{settings.prefix}/"
        self._rules = QuestionRules(
            settings.prefix,
            frozenset(cameras),
            settings.max_question_bytes,
            settings.default_deadline_s,
        )
        self._recent = RecentAnswers()
        self._rates = Rates(settings.questions_per_minute)

    @property
    def topics(self) -> tuple[str, ...]:
        """What has to be subscribed to; questions shared, if there is a group."""
        own, group = self._own, self._settings.share_group
        share = f"$share/{group}/" if group else ""
        asked = (f"{share}{own}ask", f"{share}{own}+/ask")
        told = (f"{own}+/watching/set", f"{own}+/watch/+/set", f"{own}cancel")
        return (*asked, *told, BIRTH_TOPIC)

    def receive(self, message: Message) -> None:
        """Take in a message; one that is not ours is passed over."""
        if message.topic == BIRTH_TOPIC:
            self._command(message, Command(("birth",), message.payload))
        if not message.topic.startswith(self._own):
            return
        match message.topic.removeprefix(self._own).split("/"):
            case ["ask"]:
                self._ask(message, None)
            case [camera, "ask"]:
                self._ask(message, camera)
            case ["cancel"]:
                self._command(message, Command(("cancel",), message.payload))
            case [camera, *path, "set"]:
                self._command(message, Command((camera, *path), message.payload))
        # Anything else: amqtt sends a new client what others subscribed to, too.

    def close(self, question: Question, answer: Answer) -> None:
        """Send the final answer to a question on its way."""
        self._recent.close(question, answer)
        self._reply(question, answer)

    def refuse_all(self) -> None:
        """Answer every question that is open: the agent is stopping."""
        for question in self._recent.open_questions():
            text = "the agent is stopping"
            self.close(
                question,
                error_answer(question.id, "shutting_down", text, question.text),
            )

    def _command(self, message: Message, command: Command) -> None:
        if message.retained and command.path != ("birth",):
            self.counts["retained"] += 1
            return
        self.counts["commands"] += 1
        try:
            self.commands.put_nowait(command)
        except asyncio.QueueFull:
            self.counts["ignored"] += 1

    def _ask(self, message: Message, camera: str | None) -> None:
        self.counts["questions"] += 1
        if message.retained:
            self.counts["retained"] += 1
            return
        reply = None
        if message.response_topic is not None:
            reply = ReplyTo(message.response_topic, message.correlation)
        try:
            question = parse_question(
                message.payload,
                self._rules,
                camera=camera,
                reply=reply,
                expiry_s=message.expiry_s,
            )
        except InvalidQuestionError as error:
            self._reject(message, reply, error)
        else:
            self._admit(question)

    def _admit(self, question: Question) -> None:
        recent, asker = self._recent, question.reply.topic
        if recent.is_open(question):
            self.counts["repeated"] += 1
        elif (answer := recent.find(question)) is not None:
            self.counts["repeated"] += 1
            self._reply(question, answer)
        elif not self._rates.allows(asker):
            self._refuse(question, TooOftenError(self._rates.per_minute))
        elif self.questions.full():
            limit = self._settings.max_questions
            self._refuse(question, TooManyQuestionsError(limit))
        else:
            recent.open(question)
            self.questions.put_nowait(question)

    def _refuse(
        self, question: Question, error: TooManyQuestionsError | TooOftenError
    ) -> None:
        self.counts["refused"] += 1
        refusal = error_answer(question.id, error.code, str(error), question.text)
        self._reply(question, refusal)

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
            self._post(
                Letter(found.topic, payload, expires_s, correlation=found.correlation)
            )

    def _reply(self, question: Question, answer: Answer) -> None:
        reply = question.reply
        expires_s = max(question.expires_s, time.monotonic() + _GRACE_S)
        payload = answer_to_json(answer)
        self._post(
            Letter(reply.topic, payload, expires_s, correlation=reply.correlation)
        )
