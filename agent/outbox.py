"""What waits to be published, in order, while the broker is slow or away.

Bound: `max_letters`. Policy: drop the oldest; also what has expired. Drops are counted.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to publish.

    Attributes:
        topic: Where to.
        payload: What.
        expires_s: When it is worth nothing any more, on the monotonic clock.
        retain: Whether the broker keeps it; of these, only a topic's latest is sent.
        correlation: Correlation Data of the question, for MQTT 5.
    """

    topic: str
    payload: bytes
    expires_s: float
    retain: bool = False
    correlation: bytes | None = None


class Outbox:
    """Letters in order. One that was read stays first until it is removed."""

    def __init__(self, max_letters: int) -> None:
        self.num_dropped = 0
        self._max_letters = max_letters
        self._letters: deque[Letter] = deque()
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, letter: Letter) -> None:
        """Append a letter; a retained one takes the place of an older one."""
        if letter.retain:
            for older in [x for x in self._letters if x.retain]:
                if older.topic == letter.topic:
                    self._letters.remove(older)
        self._drop_expired()
        if len(self._letters) >= self._max_letters:
            self._letters.popleft()
            self.num_dropped += 1
        self._letters.append(letter)
        self._signal()

    def remove(self, letter: Letter) -> None:
        """Take out a letter that was published, if it is still there."""
        if letter in self._letters:
            self._letters.remove(letter)
        self._signal()

    async def first(self) -> Letter:
        """Wait for a letter that has not expired, and leave it in its place."""
        while True:
            self._drop_expired()
            if self._letters:
                return self._letters[0]
            await self._filled.wait()

    async def drained(self) -> None:
        """Wait until nothing is left to publish."""
        await self._emptied.wait()

    def _drop_expired(self) -> None:
        now_s = time.monotonic()
        alive = [letter for letter in self._letters if letter.expires_s > now_s]
        self.num_dropped += len(self._letters) - len(alive)
        self._letters = deque(alive)
        self._signal()

    def _signal(self) -> None:
        full, empty = self._filled, self._emptied
        (full.set if self._letters else full.clear)()
        (empty.clear if self._letters else empty.set)()
