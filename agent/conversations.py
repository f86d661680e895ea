"""What was asked and answered before, so that a question may refer to it."""

import time
from collections import OrderedDict
from collections.abc import Callable

from agent.vlm.generation import Turn

MAX_TURNS = 4  # a model this size loses the thread after that, and each costs tokens
_MAX_CONVERSATIONS = 256
_KEEP_S = 3600.0


class Conversations:
    """Remembers the last questions and answers of each conversation.

    Bound: 256 conversations, of each four turns, for an hour. Policy: forget the one
    that was silent for the longest time.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: OrderedDict[str, tuple[float, tuple[Turn, ...]]] = OrderedDict()

    def turns(self, name: str | None) -> tuple[Turn, ...]:
        """Give the turns of a conversation, oldest first; none of one that is new."""
        if name is None or name not in self._turns:
            return ()
        spoken_s, turns = self._turns[name]
        return turns if self._clock() - spoken_s < _KEEP_S else ()

    def add(self, name: str | None, question: str, answer: str) -> None:
        """Note what was asked and answered last; of no conversation, nothing."""
        if name is None:
            return
        turns = (*self.turns(name), (question, answer))[-MAX_TURNS:]
        self._turns[name] = self._clock(), turns
        self._turns.move_to_end(name)
        while len(self._turns) > _MAX_CONVERSATIONS:
            self._turns.popitem(last=False)
