"""Is an answer right? Told by the words that can be answers, and by the clock."""

import re
from datetime import UTC, datetime
from enum import StrEnum

from ingest.simulation.visit import Colour, Kind, Side

TOLERANCE_S = 4.0  # how far a time may lie outside what it is about
_DAY_S = 86_400
_WORDS = re.compile(r"#\d\d|\d+|[a-z]+")
_CLOCK = re.compile(r"(\d\d)\s*:\s*(\d\d)\s*:\s*(\d\d)")
_ANSWERS = {
    *(str(word) for words in (Kind, Colour, Side) for word in words),
    *("yes", "no", "not", "seen", "nothing"),
}


class QuestionType(StrEnum):
    """What kind of question is asked."""

    COLOUR = "colour"
    KIND = "kind"
    SIDE = "side"
    LEFT_TO = "left_to"
    WHEN = "when"
    SEEN = "seen"
    NOT_SEEN = "not_seen"
    PLATE = "plate"
    ORDER = "order"
    COUNT = "count"
    NOW = "now"


def stamp(time_s: float) -> str:
    """Write a moment as an answer does, `<07:14:22>`, UTC."""
    return f"<{datetime.fromtimestamp(time_s, UTC):%H:%M:%S}>"


def is_right(
    type: QuestionType,
    truth: str,
    happened: tuple[float, float] | None,
    answer: str,
) -> bool:
    """Judge an answer: it says what is true, and nothing else that could be an answer.

    Args:
        type: Of the question.
        truth: The right answer.
        happened: Start and end, UTC, of what is asked about.
        answer: What was answered.
    """
    if type is QuestionType.WHEN and happened is not None:
        return _names_moment(answer, happened)
    return _facts(answer) == _facts(truth)


def _facts(text: str) -> set[str]:
    words = _WORDS.findall(text.lower())
    return {w for w in words if w in _ANSWERS or w[0] == "#" or w.isdigit()}


def _names_moment(answer: str, happened: tuple[float, float]) -> bool:
    found = _CLOCK.findall(answer)
    if len(found) != 1:
        return False
    hours, minutes, seconds = (int(part) for part in found[0])
    start, end = happened[0] - TOLERANCE_S, happened[1] + TOLERANCE_S
    named = hours * 3600 + minutes * 60 + seconds
    return (named - start) % _DAY_S <= end - start
