"""Questions about what a simulated camera saw, with answers from the world's own log.

Pure: from visits and the windows that were watched. Asked is only what those show
without doubt: whole visits, and plates, kinds and colours that name one thing.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.simulation.judge import QuestionType, is_right, stamp
from ingest.simulation.log import Log, Window
from ingest.simulation.visit import (
    SPRITE_HEIGHT,
    SPRITE_WIDTH,
    WORLD_UNITS,
    Colour,
    Kind,
    Visit,
)

__all__ = ["Question", "QuestionType", "Window", "ask", "in_full_view_s"]

NOT_SEEN = "not seen"
NOTHING = "nothing"
_STEP_S = 0.1
_SIDE_S = 3.0  # from full view to out of view takes up to two
_NOW_S = 0.75  # before the end of what was watched: its last frame, and some
_MOST_COUNTED = 9
_COUNTED_S = 20  # shortest time that is counted in

_BY_PLATE: dict[QuestionType, tuple[str, ...]] = {
    QuestionType.COLOUR: (
        "What colour was the {kind} with number #{plate}?",
        "What colour was #{plate}?",
        "Which colour did #{plate} have?",
    ),
    QuestionType.KIND: (
        "What kind of thing was #{plate}?",
        "What was #{plate}?",
        "What kind of thing had number #{plate}?",
    ),
    QuestionType.SIDE: (
        "From which side did #{plate} come?",
        "Where did #{plate} come from?",
        "Which side did #{plate} enter from?",
    ),
    QuestionType.LEFT_TO: (
        "To which side did #{plate} leave?",
        "Where did #{plate} go?",
        "Where was #{plate} last?",
    ),
    QuestionType.WHEN: (
        "When was #{plate} seen?",
        "When did #{plate} come?",
        "At what time did #{plate} appear?",
    ),
    QuestionType.SEEN: (
        "Was #{plate} seen?",
        "Did you see #{plate}?",
        "Has #{plate} been there?",
    ),
}
_PLATE = (
    "What number did the {colour} {kind} have?",
    "Which number was on the {colour} {kind}?",
    "What was the number of the {colour} {kind}?",
)
_ORDER = (
    "Which came first, #{one} or #{other}?",
    "Who was first, #{one} or #{other}?",
)
_COUNT = (
    "How many {what} things were seen{when}?",
    "How many {what} things did you see{when}?",
)
_NOW = ("What is happening now?", "What do you see now?")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer.

    Attributes:
        text: What is asked.
        answer: The truth, in the words that the built-in model uses.
        type: What kind of question it is.
        happened: Start and end, UTC, of what is asked about, None if it never happened.
        holds: The time, UTC, whose frames hold the answer.
        shown: Each time whose frames tell it best: where it is looked for. None where
            the answer is that nothing was there.
    """

    text: str
    answer: str
    type: QuestionType
    happened: tuple[float, float] | None
    holds: tuple[float, float]
    shown: tuple[Window, ...] = ()

    def age_s(self, now_s: float) -> float | None:
        """Give how long ago it was over, None where no one moment is asked about."""
        return None if self.happened is None else now_s - self.happened[1]

    def is_right(self, answer: str) -> bool:
        """Judge an answer."""
        return is_right(self.type, self.answer, self.happened, answer)


def ask(
    visits: Sequence[Visit],
    windows: Sequence[Window],
    type: QuestionType,
    dealer: random.Random,
    about: Window | None = None,
) -> Question | None:
    """Make one question of a type, or None where the windows give none.

    Args:
        visits: What passed the camera, at least while it was watched.
        windows: Start and end, UTC, of each time without a gap that was watched.
        type: What kind of question.
        dealer: Chooses whom to ask about, and the wording.
        about: Ask about visits that ended in this time, UTC, None for any.
    """
    log = Log.of(visits, windows, about)
    return _ASKERS[type](log, dealer, type)


def in_full_view_s(visit: Visit) -> float:
    """Give the first moment, UTC, at which a visitor is in full view."""
    time_s = visit.enter_s
    while time_s < visit.leave_s:
        x, y = visit.position(time_s)
        if (
            0 <= x <= WORLD_UNITS - SPRITE_WIDTH
            and 0 <= y <= WORLD_UNITS - SPRITE_HEIGHT
        ):
            return time_s
        time_s += _STEP_S
    return visit.enter_s


def _ask_by_plate(
    log: Log, dealer: random.Random, type: QuestionType
) -> Question | None:
    if not log.subjects:
        return None
    visit = dealer.choice(log.subjects)
    wording = dealer.choice(_BY_PLATE[type])
    full_s, leave_s = in_full_view_s(visit), visit.leave_s
    answer = {
        QuestionType.COLOUR: str(visit.colour),
        QuestionType.KIND: str(visit.kind),
        QuestionType.SIDE: str(visit.enters_from),
        QuestionType.LEFT_TO: str(visit.leaves_to),
        QuestionType.WHEN: stamp(full_s),
        QuestionType.SEEN: "yes",
    }[type]
    text = wording.format(kind=visit.kind, plate=visit.plate)
    happened = (visit.enter_s, leave_s)
    shown = {
        QuestionType.SIDE: (visit.enter_s, full_s + _SIDE_S),
        QuestionType.LEFT_TO: (leave_s - _SIDE_S, leave_s),
    }.get(type, (full_s, leave_s))
    holds = (min(full_s, shown[0]), leave_s)
    return Question(text, answer, type, happened, holds, (shown,))


def _ask_seen(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    if dealer.random() < 0.5:
        return _ask_by_plate(log, dealer, type)
    text = dealer.choice(_BY_PLATE[type]).format(plate=log.absent(dealer))
    return Question(text, "no", type, None, log.window)


def _ask_absent(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    about = dealer.choice([t for t in _BY_PLATE if t is not QuestionType.SEEN])
    text = dealer.choice(_BY_PLATE[about]).format(
        kind=dealer.choice(list(Kind)), plate=log.absent(dealer)
    )
    return Question(text, NOT_SEEN, type, None, log.window)


def _ask_plate(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    looks = Counter((v.colour, v.kind) for v in log.all)
    known = [v for v in log.subjects if looks[v.colour, v.kind] == 1]
    if not known:
        return None
    visit = dealer.choice(known)
    text = dealer.choice(_PLATE).format(colour=visit.colour, kind=visit.kind)
    happened = (visit.enter_s, visit.leave_s)
    return Question(text, f"#{visit.plate}", type, happened, happened, (happened,))


def _ask_order(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    if len(log.subjects) < 2:
        return None
    pair = dealer.sample(log.subjects, 2)
    first, second = sorted(pair, key=in_full_view_s)
    if in_full_view_s(second) - in_full_view_s(first) < 2.0:
        return None
    text = dealer.choice(_ORDER).format(one=pair[0].plate, other=pair[1].plate)
    span = (first.enter_s, first.leave_s)
    holds = (first.enter_s, max(first.leave_s, second.leave_s))
    shown = (span, (second.enter_s, second.leave_s))
    return Question(text, f"#{first.plate}", type, span, holds, shown)


def _ask_count(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    colour = dealer.choice(list(Colour))
    (start_s, end_s), when = _deal_time(log.window, dealer)
    found = [
        visit
        for visit in log.all
        if visit.colour is colour and visit.enter_s < end_s and visit.leave_s > start_s
    ]
    shown = tuple((visit.enter_s, visit.leave_s) for visit in found)
    is_cut = any(enter_s < start_s or leave_s > end_s for enter_s, leave_s in shown)
    is_cut = is_cut or any(visit not in log.whole for visit in found)
    if is_cut or len(found) > _MOST_COUNTED:
        return None
    text = dealer.choice(_COUNT).format(what=colour, when=when)
    return Question(text, str(len(found)), type, None, (start_s, end_s), shown)


def _deal_time(window: Window, dealer: random.Random) -> tuple[Window, str]:
    """Deal all of a window, or a time within it; and how a question tells it."""
    first, last = math.ceil(window[0]), math.floor(window[1])
    if last - first < 2 * _COUNTED_S or dealer.random() < 0.5:
        return window, ""
    start_s = dealer.randint(first, last - _COUNTED_S)
    end_s = dealer.randint(start_s + _COUNTED_S, last)
    told = (stamp(time_s).strip("<>") for time_s in (start_s, end_s))
    return (start_s, end_s), " from {} to {}".format(*told)


def _ask_now(log: Log, dealer: random.Random, type: QuestionType) -> Question | None:
    now_s = log.window[1] - _NOW_S
    there = [v for v in log.all if v.enter_s < log.window[1] and v.leave_s > now_s - 1]
    holds = (now_s, log.window[1])
    text = dealer.choice(_NOW)
    if not there:
        return Question(text, NOTHING, type, holds, holds, (holds,))
    visit = there[0]
    x, y = visit.position(now_s)
    in_view = -2 <= x <= WORLD_UNITS - 14 and -2 <= y <= WORLD_UNITS - 10
    if len(there) > 1 or not in_view or not visit.enter_s < now_s < visit.leave_s:
        return None
    answer = f"{visit.colour} {visit.kind}"
    return Question(text, answer, type, holds, holds, (holds,))


_ASKERS: dict[
    QuestionType, Callable[[Log, random.Random, QuestionType], Question | None]
] = {
    QuestionType.COLOUR: _ask_by_plate,
    QuestionType.KIND: _ask_by_plate,
    QuestionType.SIDE: _ask_by_plate,
    QuestionType.LEFT_TO: _ask_by_plate,
    QuestionType.WHEN: _ask_by_plate,
    QuestionType.SEEN: _ask_seen,
    QuestionType.NOT_SEEN: _ask_absent,
    QuestionType.PLATE: _ask_plate,
    QuestionType.ORDER: _ask_order,
    QuestionType.COUNT: _ask_count,
    QuestionType.NOW: _ask_now,
}
