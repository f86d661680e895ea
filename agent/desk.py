"""Where every question comes together, by MQTT or HTTP, before it is answered.

Here a time that the question names becomes its window, a conversation its context, and
what was asked and answered is told to those who listen.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

from agent.answerer import Answerer
from agent.conversations import Conversations
from agent.errors import TooManyQuestionsError
from agent.messages import Answer, Question, Understood, answer_to_dict, error_answer
from agent.news import News
from agent.progress import Progress
from agent.time_phrases import find_time_phrase
from ingest.clock import utc_now

MAX_AT_ONCE = 4  # worked on at once, and most that are decoded together
_KEEP_CANCELLED_S = 3600.0


class Desk:
    """Takes questions, has them answered, and can call each off.

    Args:
        answerer: Who answers them.
        zones: The time zone of each camera.
        max_waiting: Questions that may wait; more are refused.
        news: Who is told of questions and answers.
    """

    def __init__(
        self,
        answerer: Answerer,
        zones: Mapping[str, tzinfo],
        max_waiting: int,
        news: News,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._answerer, self._zones, self._news = answerer, zones, news
        self._room = asyncio.Semaphore(MAX_AT_ONCE)
        self._max_open = max_waiting + MAX_AT_ONCE
        self._open: dict[str, list[asyncio.Task[Answer]]] = {}
        self._num_open = 0
        self._cancelled: dict[str, float] = {}
        self._conversations = Conversations()

    async def ask(self, question: Question, progress: Progress) -> Answer:
        """Answer a question; whatever goes wrong is an answer that says so.

        Args:
            question: The question.
            progress: Where its text is shown as it comes; ended with the answer.
        """
        self.counts["questions"] += 1
        if self._num_open >= self._max_open:
            progress.end()
            error = TooManyQuestionsError(self._max_open)
            return error_answer(question.id, error.code, str(error), question.text)
        asking = asyncio.create_task(self._ask(question, progress), name="agent.ask")
        self._num_open += 1
        self._open.setdefault(question.id, []).append(asking)
        try:
            await asyncio.wait([asking])
        finally:
            asking.cancel()
            progress.end()
            self._num_open -= 1
            self._open[question.id].remove(asking)
            if not self._open[question.id]:
                del self._open[question.id]
        if asking.cancelled():
            return _cancelled(question)
        answer = asking.result()
        self.counts[answer.status] += 1
        self._news.tell(
            "answer", {"cameras": [*question.cameras], **answer_to_dict(answer)}
        )
        return answer

    def cancel(self, question_id: str) -> bool:
        """Call off what was asked under an id; tell whether it was in work."""
        now_s = time.monotonic()
        kept = self._cancelled.items()
        self._cancelled = {i: t for i, t in kept if now_s - t < _KEEP_CANCELLED_S}
        self._cancelled[question_id] = now_s
        tasks = self._open.get(question_id, [])
        for task in tasks:
            task.cancel()
        return bool(tasks)

    def understand(self, question: Question) -> Question:
        """Give the question with the window that its words name, if they name one.

        Explicit times win: then its words are not looked at.
        """
        if question.start_s is not None or question.end_s is not None:
            understood = Understood(question.start_s, question.end_s)
            return replace(question, understood=understood)
        found = find_time_phrase(question.text, utc_now(), self._zone(question))
        if found is None:
            return question
        return replace(
            question,
            start_s=found.start_s,
            end_s=found.end_s,
            understood=Understood(found.start_s, found.end_s, found.words),
        )

    async def _ask(self, question: Question, progress: Progress) -> Answer:
        told = {"id": question.id, "question": question.text}
        self._news.tell("question", {**told, "cameras": [*question.cameras]})
        async with self._room:
            if self._cancelled.get(question.id, -1.0) >= question.asked_s:
                return _cancelled(question)
            turns = self._conversations.turns(question.conversation)
            earlier = question.earlier or turns
            asked = replace(self.understand(question), earlier=earlier)
            answer = await self._answerer.answer(asked, progress)
        if answer.status in {"ok", "partial"}:
            self._conversations.add(question.conversation, question.text, answer.answer)
        return answer

    def _zone(self, question: Question) -> tzinfo:
        """Give the time zone of the first camera that it is about."""
        cameras = question.cameras or tuple(sorted(self._zones))
        return self._zones[cameras[0]]


def _cancelled(question: Question) -> Answer:
    return error_answer(question.id, "cancelled", "it was called off", question.text)
