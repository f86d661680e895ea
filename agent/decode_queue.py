"""Questions that are ready to be answered are decoded together."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.batch_queue import BatchQueue
from agent.progress import Progress
from agent.stopwatch import Stopwatch
from agent.vlm.generation import (
    Reader,
    Turn,
    decode_room,
    decode_together,
    text_of,
    text_so_far,
)
from agent.vlm.log_probs import LogProbs
from agent.vlm.model import VisionLanguageModel
from agent.vlm.sampling import GREEDY, Sampling
from agent.worker import ModelThread, Priority
from memory.kv import KV
from memory.rehydration import MixedCache, compose


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A question and all that it reads.

    Attributes:
        question: Its text.
        runs: The chunks, each at its level, in time order.
        watch: Gets the laps `rehydrate`, `first_token` and `decode`.
        progress: Where the text is shown as it comes.
        earlier: Questions before it and their answers, oldest first.
    """

    question: str
    runs: Sequence[KV]
    watch: Stopwatch
    progress: Progress
    earlier: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was said.

    Attributes:
        text: The answer.
        num_tokens: Tokens of it.
        log_probs: How likely the model found each token when it was chosen, the stop
            token too: natural logarithms, whatever the temperature.
    """

    text: str
    num_tokens: int
    log_probs: tuple[float, ...] = ()


@dataclass(slots=True)
class DecodeQueue:
    """The questions that wait, in front of the thread that owns the model.

    As many go together as wait: those who submit are few, and each question reads no
    more than the context that it is allowed.

    Attributes:
        thread: That thread.
        model: The model.
        sink: KV of the tokens before the first chunk.
        max_new_tokens: Most tokens of an answer.
        sampling: How the tokens of an answer are chosen.
    """

    thread: ModelThread
    model: VisionLanguageModel
    sink: KV
    max_new_tokens: int
    sampling: Sampling = GREEDY
    _queue: BatchQueue[Job, Decoded] = field(init=False)

    def __post_init__(self) -> None:
        self._queue = BatchQueue(
            self.thread, Priority.QUESTION, self._say, lambda *_: True
        )

    def submit(self, job: Job) -> asyncio.Future[Decoded]:
        """Queue a question.

        Raises:
            queue.Full: Too many jobs wait for the model.
        """
        return self._queue.submit(job)

    def _say(self, batch: Sequence[Job]) -> Iterator[tuple[int, Decoded]]:
        """Re-hydrate and decode; yields each answer when it is whole."""
        noted = [LogProbs() for _ in batch]
        readers = [
            Reader(
                self._compose(job),
                job.question,
                self.max_new_tokens,
                job.progress.is_over,
                self.sampling,
                job.earlier,
                log_probs.note,
            )
            for job, log_probs in zip(batch, noted, strict=True)
        ]
        said: list[list[int]] = [[] for _ in batch]
        for number, token in decode_together(self.model, readers):
            job, ids = batch[number], said[number]
            if token is None:
                yield number, self._end(job, ids, noted[number])
                continue
            if not ids:
                job.watch.lap("first_token")
            ids.append(token)
            if job.progress.is_streamed:
                job.progress.show(text_so_far(self.model, ids))

    def _compose(self, job: Job) -> MixedCache:
        room = decode_room(self.model, job.question, self.max_new_tokens, job.earlier)
        cache = compose([self.sink, *job.runs], self.model.rotary, room=room)
        job.watch.lap("rehydrate")
        return cache

    def _end(self, job: Job, ids: Sequence[int], noted: LogProbs) -> Decoded:
        job.watch.lap("decode")
        text = text_of(self.model, ids)
        job.progress.show(text)
        return Decoded(text, len(ids), noted.values)
