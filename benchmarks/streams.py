"""What the accuracy benchmark watches, and what it asks: streams with every age in.

A plate is asked about only if nobody else had it, so a long stream is one of a slower
world, whose plates come back less often than the stream is long. It ends where there is
something to ask about now: half of the streams while somebody is in full view, half
just after somebody with a plate was there; in both, somebody else had left not long
before.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.errors import StreamLengthError
from ingest.frame import FrameChunk
from ingest.simulation.questions import (
    NOTHING,
    Question,
    QuestionType,
    Window,
    ask,
    in_full_view_s,
)
from ingest.simulation.visit import Visit
from ingest.simulation.world import PLATES_PER_BLOCK, World
from training.evaluate import CHUNK_S, film_world
from training.split import start_of

AGES = {"now": 8.0, "1min": 90.0, "10min": 900.0, "1h": 5400.0, "3h": float("inf")}
WHOLE = "whole"  # the age of a question about no one moment: was it there, how many
_AGELESS = (QuestionType.NOT_SEEN, QuestionType.COUNT, QuestionType.NOW)
_SEARCH_S, _SEARCHES = 3600.0, 48  # from four chunks on one search is enough
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Take:
    """A stretch of a world, watched without a break.

    Attributes:
        world: Which.
        start_s: UTC at which it begins.
        chunks: Its length.
    """

    world: World
    start_s: float
    chunks: int

    @property
    def window(self) -> Window:
        """Its start and end, UTC."""
        return self.start_s, self.start_s + self.chunks * CHUNK_S

    def film(self) -> Iterator[FrameChunk]:
        """Render its chunks, one by one."""
        return film_world(self.world, self.start_s, self.chunks)


def pace_for(chunks: int) -> float:
    """Give the busiest pace at which no plate comes back within so many chunks.

    1 up to 150 chunks (10 minutes), a sixth for 1024 (68 minutes), an eighteenth for
    2700 (3 hours).

    Raises:
        StreamLengthError: Even the slowest world repeats a plate in that time.
    """
    for plates in range(PLATES_PER_BLOCK, 0, -1):
        pace = plates / PLATES_PER_BLOCK
        if World(0, pace).plates_return_s >= chunks * CHUNK_S:
            return pace
    raise StreamLengthError(chunks, "are so many that plates come back at any pace")


def take_of(seed: int, chunks: int) -> Take:
    """Choose the stretch of a world that a stream of so many chunks shows.

    Raises:
        StreamLengthError: None of that length has in it what is asked about.
    """
    world = World(seed, pace_for(chunks))
    end_s = start_of(seed) + chunks * CHUNK_S
    for _ in range(_SEARCHES):
        for visit in reversed(world.visits(end_s - _SEARCH_S, end_s)):
            take = _ending_at(visit, world, chunks)
            if take is not None:
                return take
        end_s -= _SEARCH_S
    raise StreamLengthError(chunks, "are too few to ask about")


def _ending_at(visit: Visit, world: World, chunks: int) -> Take | None:
    """Give the stretch that ends in or just after a visit, None if that won't do."""
    dealer = random.Random(f"{world.seed} {visit.enter_s}")
    if world.seed % 2:
        end_s = visit.leave_s + dealer.uniform(0.5, AGES["now"] - 0.5)
    else:
        end_s = (in_full_view_s(visit) + visit.leave_s) / 2
    take = Take(world, round(end_s - chunks * CHUNK_S, 3), chunks)
    visits = world.visits(*take.window)
    about = _window(take, "1min")
    if ask(visits, [take.window], QuestionType.KIND, dealer, about) is None:
        return None
    if world.seed % 2:
        return take if visit.plate is not None else None
    now = ask(visits, [take.window], QuestionType.NOW, dealer)
    return take if now is not None and now.answer != NOTHING else None


def questions_on(take: Take, each: int) -> list[Question]:
    """Ask up to `each` questions of each type about each age.

    Whether a plate was seen is asked about as many that were not there.
    """
    dealer = random.Random(take.world.seed)
    asked: list[Question] = []
    for type in QuestionType:
        found: list[Question] = []
        for age in [] if type in _AGELESS else AGES:
            found += _ask_some(take, type, age, each, dealer)
        if type in _AGELESS or type is QuestionType.SEEN:
            found += _ask_some(take, type, WHOLE, max(each, len(found)), dealer)
        asked += found
    return asked


def _ask_some(
    take: Take, type: QuestionType, age: str, count: int, dealer: random.Random
) -> list[Question]:
    visits = take.world.visits(*take.window)
    about = None if age == WHOLE else _window(take, age)
    found: dict[object, Question] = {}
    for _ in range(_TRIES * count):
        question = ask(visits, [take.window], type, dealer, about)
        if question is None or len(found) == count:
            continue
        if type is QuestionType.NOW or age_of(question, take) == age:
            found[question.happened or question.text] = question
    return list(found.values())


def age_of(question: Question, take: Take) -> str:
    """Give the bucket of how long ago what is asked about was over."""
    age_s = question.age_s(take.window[1])
    if age_s is None:
        return WHOLE
    return next(name for name, limit_s in AGES.items() if age_s < limit_s)


def _window(take: Take, age: str) -> Window:
    """Give the time, UTC, in which what has an age was over."""
    names, end_s = list(AGES), take.window[1]
    newer = names[: names.index(age)]
    newest_s = end_s - AGES[newer[-1]] if newer else end_s + 1e-3
    return end_s - AGES[age], newest_s
