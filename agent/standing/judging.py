"""Verdicts from the thread that owns the model, and what they cost.

Each question is a job of its own, in the queue with the chunks: what a person asks goes
before it, and waits for one verdict at most.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from agent.standing.budget import Budget
from agent.vlm.generation import Reader
from agent.vlm.model import VisionLanguageModel
from agent.vlm.verdict import Verdict, YesNo, judge, judge_room
from agent.worker import ModelThread, Priority
from memory.kv import KV
from memory.rehydration import MixedCache, compose


@dataclass(slots=True, eq=False)
class Judge:
    """Asks questions of yes or no.

    Attributes:
        thread: The thread that owns the model.
        model: The model.
        sink: KV of the tokens before the first chunk.
        budget: Told what each verdict cost.
        verdicts: How many were given.
    """

    thread: ModelThread
    model: VisionLanguageModel
    sink: KV
    budget: Budget
    verdicts: int = 0
    _words: YesNo | None = field(default=None, init=False)

    async def ask(self, runs: Sequence[KV], questions: Sequence[str]) -> list[Verdict]:
        """Ask questions over the same runs of KV, one by one.

        Args:
            runs: Chunks in time order; the sink goes before them.
            questions: Their texts.

        Raises:
            queue.Full: Too many jobs wait for the model.
            ValueError: The model's tokenizer can't tell yes from no.
        """
        if self._words is None:  # the tokenizer belongs to the thread, too
            words = partial(YesNo.of, self.model)
            self._words = await self.thread.run(Priority.CHUNK, words)
        over = _Over(self.model, [self.sink, *runs], questions, self._words)
        found = []
        for question in questions:
            job = partial(_timed, over, question)
            verdict, spent_s = await self.thread.run(Priority.CHUNK, job)
            self.budget.spend(spent_s)
            self.verdicts += 1
            found.append(verdict)
        return found


@dataclass(slots=True, eq=False)
class _Over:
    """What questions are asked over, composed by the first of them."""

    model: VisionLanguageModel
    runs: Sequence[KV]
    questions: Sequence[str]
    words: YesNo
    cache: MixedCache | None = None

    def judge(self, question: str) -> Verdict:
        if self.cache is None:
            rooms = (judge_room(self.model, q, self.words) for q in self.questions)
            self.cache = compose(self.runs, self.model.rotary, room=max(rooms))
        reader = Reader(self.cache, question, self.words.most_tokens)
        return judge(self.model, reader, self.words)


def _timed(over: _Over, question: str) -> tuple[Verdict, float]:
    started_s = time.monotonic()
    verdict = over.judge(question)
    return verdict, time.monotonic() - started_s
