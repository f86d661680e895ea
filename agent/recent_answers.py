"""Which questions are in work or were just answered, so that asking twice is safe.

An asker that heard nothing asks again with the same id. The same question under the
same id is worked on once: while it is open the second is left out, after that it gets
the same answer. An error is forgotten at once: asking again is how one tries again.
"""

import time
from collections import OrderedDict

from agent.messages import Answer, Question

_KEEP_S = 600.0
_MAX_ANSWERS = 256

_Key = tuple[str, str, tuple[str, ...], float | None, float | None]


class RecentAnswers:
    """Remembers open questions until they expire, and answers for ten minutes.

    Bound: 256 answers. Policy: drop the oldest.
    """

    def __init__(self) -> None:
        self._open: dict[_Key, Question] = {}
        self._answers: OrderedDict[_Key, tuple[float, Answer]] = OrderedDict()

    def open(self, question: Question) -> None:
        """Note that a question is in work; one that expired long ago was lost."""
        limit_s = time.monotonic() - _KEEP_S
        for key in [k for k, q in self._open.items() if q.expires_s < limit_s]:
            del self._open[key]
        self._open[_key(question)] = question

    def close(self, question: Question, answer: Answer) -> None:
        """Note how a question ended."""
        self._open.pop(_key(question), None)
        if answer.status != "error":
            self._answers[_key(question)] = (time.monotonic(), answer)
            self._answers.move_to_end(_key(question))
        while len(self._answers) > _MAX_ANSWERS:
            self._answers.popitem(last=False)

    def is_open(self, question: Question) -> bool:
        """Tell whether the same question is in work."""
        known = self._open.get(_key(question))
        return known is not None and known.expires_s > time.monotonic()

    def find(self, question: Question) -> Answer | None:
        """Give back the answer the same question got, if it was just now."""
        answered_s, answer = self._answers.get(_key(question), (0.0, None))
        fresh = time.monotonic() - answered_s < _KEEP_S
        return answer if fresh else None

    def open_questions(self) -> tuple[Question, ...]:
        """Give back the questions without an answer, in the order they came."""
        return tuple(self._open.values())


def _key(question: Question) -> _Key:
    """Name a question by what it asks: an id alone may be an asker's counter."""
    asked = (question.cameras, question.start_s, question.end_s)
    return (question.id, question.text, *asked)
