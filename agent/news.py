"""What happens in the agent, told to whoever listens: a person, a program."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_MAX_WAITING = 256


class News:
    """Tells every listener what happens from when it began to listen.

    Bound: 256 events wait for each listener. Policy: drop the oldest, and say so.
    """

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def tell(self, kind: str, event: Mapping[str, Any]) -> None:
        """Tell what has happened.

        Args:
            kind: `chunk`, `camera`, `question`, `answer`, `alert` or `watch`.
            event: What, ready for JSON.
        """
        for listener in self._listeners:
            listener.put({"type": kind, **event})

    async def listen(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what happens, for ever; a loss is an event `lost` with its count."""
        with self._listening() as listener:
            while True:
                yield await listener.next()

    @contextmanager
    def _listening(self) -> Iterator["_Listener"]:
        listener = _Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._filled = asyncio.Event()

    def put(self, event: dict[str, Any]) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)
        self._filled.set()

    async def next(self) -> dict[str, Any]:
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return {"type": "lost", "events": lost}
        return self._waiting.popleft()
