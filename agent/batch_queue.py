"""Jobs of one kind that wait for the model's thread go through it together.

Several side by side cost a GPU little more than one. Nothing waits for company: a batch
is what waits when the thread comes to it, and can go together.
"""

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.worker import ModelThread, Priority

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[J, R]):
    job: J
    future: asyncio.Future[R]


class BatchQueue(Generic[J, R]):
    """Jobs in front of the thread that owns the model.

    Args:
        thread: That thread.
        priority: Of these jobs there.
        run: Runs a batch, on the thread; yields a job's number in it and its result,
            once for every job, as they come.
        joins: Tells whether a job goes with those taken, given the jobs that have
            waited longer and stay; the one that waits longest goes whatever it says.
    """

    def __init__(
        self,
        thread: ModelThread,
        priority: Priority,
        run: Callable[[Sequence[J]], Iterable[tuple[int, R]]],
        joins: Callable[[J, Sequence[J], Sequence[J]], bool],
    ) -> None:
        self._thread, self._priority = thread, priority
        self._run_batch, self._joins = run, joins
        # Bounded by those who submit: each awaits a few jobs of its own.
        self._waiting: deque[_Waiting[J, R]] = deque()
        self._lock = threading.Lock()

    def submit(self, job: J) -> asyncio.Future[R]:
        """Queue a job; one whose future is cancelled before its turn is skipped.

        Raises:
            queue.Full: Too many jobs wait for the model.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._thread.submit(self._priority, self._run_next)
            self._waiting.append(_Waiting(job, future))
        return future

    def _run_next(self) -> None:
        """Run the next batch, if one before it has not taken all; on the thread."""
        if batch := self._take():
            self._run(batch)

    def _take(self) -> list[_Waiting[J, R]]:
        """Take the jobs that go next, the one that waits longest first."""
        batch: list[_Waiting[J, R]] = []
        stay: deque[_Waiting[J, R]] = deque()
        with self._lock:
            for waiting in self._waiting:
                if waiting.future.cancelled():
                    continue
                taken, ahead = [w.job for w in batch], [w.job for w in stay]
                if not batch or self._joins(waiting.job, taken, ahead):
                    batch.append(waiting)
                else:
                    stay.append(waiting)
            self._waiting = stay
        return batch

    def _run(self, batch: Sequence[_Waiting[J, R]]) -> None:
        """Run a batch; if it fails, what is left of it alone, to spare the others."""
        left = dict(enumerate(batch))
        failure = self._try(left)
        if failure is not None and len(batch) == 1:
            _settle(batch[0].future, failure)
        elif failure is not None:
            for waiting in left.values():
                self._run([waiting])

    def _try(self, left: dict[int, _Waiting[J, R]]) -> Exception | None:
        """Run what is left and settle what comes of it; give why it ended early."""
        try:
            for number, result in self._run_batch([w.job for w in left.values()]):
                _settle(left.pop(number).future, result)
        except Exception as exc:  # noqa: BLE001 - whoever awaits a job is told of it
            # The frames hold tensors, which should be gone before another try.
            traceback.clear_frames(exc.__traceback__)
            return exc
        return None


def _settle(future: asyncio.Future[R], outcome: R | Exception) -> None:
    """Give a future its outcome, from the model's thread."""

    def settle() -> None:
        if future.cancelled():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    future.get_loop().call_soon_threadsafe(settle)
