"""What the event loop and the model thread tell each other about one answer.

The thread shows the text that it has so far; the loop reads what is new of it, and says
when nobody waits for it any more. Only the newest text is kept, so that a loop or a
broker that is slow gets fewer, longer deltas, and never holds up the model.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

from agent.messages import Delta


class Progress:
    """One answer while it is decoded.

    Args:
        is_streamed: Whether somebody reads the deltas; else there are none to make.
    """

    def __init__(self, *, is_streamed: bool = False) -> None:
        self.is_streamed = is_streamed
        self._loop = asyncio.get_running_loop()
        # Bound: the newest text. Policy: replace, which loses nothing of the answer.
        self._text = ""
        self._changed = asyncio.Event()
        self._over = threading.Event()

    def is_over(self) -> bool:
        """Tell whether nobody waits for it any more; from any thread."""
        return self._over.is_set()

    def show(self, text: str) -> None:
        """Tell the whole text so far; from the model thread."""
        self._text = text
        self._loop.call_soon_threadsafe(self._changed.set)

    def end(self) -> None:
        """Say that it is answered, or given up; from the loop."""
        self._over.set()
        self._changed.set()

    async def deltas(self) -> AsyncIterator[Delta]:
        """Yield what is new of the text, until the end.

        Joined, they are the text. A text that does not go on from the one before
        begins again with the number 0.
        """
        sent, number, is_over = "", 0, False
        while not is_over:
            await self._changed.wait()
            self._changed.clear()
            is_over, text = self.is_over(), self._text
            if not text.startswith(sent):
                sent, number = "", 0
            if len(text) > len(sent):
                yield Delta(number, text[len(sent) :])
                sent, number = text, number + 1
