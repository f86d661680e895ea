"""The one thread that owns the model, and the queue of jobs in front of it.

Questions come first: a question's steps go before a chunk's (decision D11), and no
chunk begins between two of them (`hold`). The queue is bounded; a job that finds it
full is refused. Each camera has a few jobs in it (`IN_FLIGHT` of the watcher), each
open question one: it takes a thousand cameras.
"""

import asyncio
import itertools
import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Self, TypeVar

logger = logging.getLogger(__name__)

QUEUE_BOUND = 4096
HOLD_S = 1.0  # that a chunk waits for the next step of questions, at most
T = TypeVar("T")


class Priority(IntEnum):
    """Whose jobs go first."""

    QUESTION = 0
    CHUNK = 1
    STOP = 2


_Job = tuple[Priority, int, Callable[[], None]]


class ModelThread:
    """Runs jobs one at a time on its own thread, the most urgent first."""

    def __init__(self) -> None:
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._order = itertools.count()
        self._num_holds = 0  # changed by the event loop's thread alone
        self._news = threading.Event()  # a job has come, or a hold has ended
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._put(Priority.STOP, _stop)
        await asyncio.to_thread(self._thread.join)

    async def run(self, priority: Priority, job: Callable[[], T]) -> T:
        """Run a job and give back its result, or raise what it raised.

        Raises:
            queue.Full: The queue is at its bound.
        """
        return await self.submit(priority, job)

    def submit(self, priority: Priority, job: Callable[[], T]) -> asyncio.Future[T]:
        """Queue a job; the future has its result, or what it raised.

        A job whose future is cancelled before its turn is skipped.

        Raises:
            queue.Full: The queue is at its bound.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(set_it: Callable[[], None]) -> None:
            if not future.cancelled():
                set_it()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = job()
            except BaseException as exc:  # noqa: BLE001 - raised where the job is awaited
                # The frames hold tensors, which a caller may want to be gone.
                traceback.clear_frames(exc.__traceback__)
                error = exc
                loop.call_soon_threadsafe(settle, lambda: future.set_exception(error))
            else:
                loop.call_soon_threadsafe(settle, lambda: future.set_result(result))

        self._put(priority, work)
        return future

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no chunk begin between the steps of a question.

        A batch of chunks may take seconds, what is between two steps milliseconds. No
        chunk waits longer than `HOLD_S` for that: neither an archive that is slow nor
        questions without end stop the cameras.
        """
        self._num_holds += 1
        try:
            yield
        finally:
            self._num_holds -= 1
            self._news.set()

    def _put(self, priority: Priority, work: Callable[[], None]) -> None:
        if self._jobs.qsize() >= QUEUE_BOUND:  # only the event loop's thread adds any
            raise queue.Full
        self._jobs.put((priority, next(self._order), work))
        self._news.set()

    def _run(self) -> None:
        held_s: float | None = None  # since when a chunk is
        while True:
            job = self._jobs.get()
            priority, _, work = job
            if priority is Priority.STOP:
                return
            if priority is Priority.CHUNK:
                now_s = time.monotonic()
                held_s = now_s if held_s is None else held_s
                if self._num_holds and now_s < held_s + HOLD_S:
                    self._jobs.put(job)  # it keeps its place
                    del job, work
                    self._news.wait(held_s + HOLD_S - now_s)
                    self._news.clear()
                    continue
                held_s = None
            work()
            del job, work  # its future holds the result


def _stop() -> None:
    """Stand in for the job that ends the thread."""
