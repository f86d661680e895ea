"""What the product says to every question about a stream, and how sure it is.

The questions of the accuracy benchmark, and one kind more whose answer is not in
memory: the number of somebody who looked as nobody in the stream did.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from agent.config_sections import MemoryConfig
from agent.vlm.generation import Reader, decode, text_of
from agent.vlm.log_probs import LogProbs
from benchmarks.bench import CAMERA, MAX_NEW_TOKENS, Bench
from benchmarks.contexts import Asked, Label, Stream, choose_scored
from benchmarks.streams import Take, questions_on
from ingest.simulation.questions import NOT_SEEN, Question, QuestionType
from ingest.simulation.visit import Colour, Kind

TOP_K = MemoryConfig().top_k
LOOKS = "looks"
SEEN_NOT = "seen_not"
IN_MEMORY = ("colour", "kind", "side", "left_to", "when", "plate", "seen", "now")
NOT_IN_MEMORY = ("not_seen", SEEN_NOT, LOOKS)
NEVER_TAUGHT = ("order", "count")
_ASKED_BY_LOOKS = (
    "What number did the {colour} {kind} have?",
    "Which number was on the {colour} {kind}?",
    "What was the number of the {colour} {kind}?",
)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said to one question.

    Attributes:
        type: Of the question.
        is_right: Whether it was right.
        log_probs: Of the tokens, the stop token too.
        margins: How much likelier each was than the next best, likewise.
        relevance: Of each chunk, the most relevant first.
    """

    type: str
    is_right: bool
    log_probs: tuple[float, ...]
    margins: tuple[float, ...]
    relevance: tuple[float, ...]

    @classmethod
    def of(cls, body: dict[str, Any]) -> "Said":
        """Read what `asdict` gave and JSON kept."""
        lists = {k: tuple(v) for k, v in body.items() if isinstance(v, list)}
        return cls(**(body | lists))


@dataclass(frozen=True, slots=True)
class StreamSaid:
    """What was said about one stream.

    Attributes:
        split: The part that its world is asked about in.
        world: Its world.
        said: The answers.
    """

    split: str
    world: int
    said: tuple[Said, ...]

    def as_body(self) -> dict[str, Any]:
        """Give it as a file keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, body: dict[str, Any]) -> "StreamSaid":
        """Read what `as_body` gave."""
        said = tuple(Said.of(each) for each in body["said"])
        return cls(body["split"], body["world"], said)


class SureBench(Bench):
    """Asks as the accuracy benchmark does, and notes how sure each answer is."""

    async def ask(self, split: str, take: Take, each: int) -> StreamSaid:
        """Watch a stretch of a world, then ask every question about it."""
        asked = [(type_of(q), q) for q in questions_on(take, each)]
        asked += [(LOOKS, q) for q in looks_never_seen(take, 2 * each)]
        stream, _ = await self._watch(take)
        said = [await self._say(stream, type, question) for type, question in asked]
        await self.store.archive.forget(CAMERA, 1 << 52)
        return StreamSaid(split, take.world.seed, tuple(said))

    async def _say(self, stream: Stream, type: str, question: Question) -> Said:
        scores, _ = self._score(stream, question)
        readings = choose_scored(stream, Asked(question.text, scores, 0, ()), TOP_K)
        recalled = await self.store.recall(readings, stream.nodes)
        room, began = self._room(question.text), time.perf_counter()
        label = Label("bilevel", k=TOP_K)
        context = self._compose(label, recalled.runs, room, began)
        noted, margins = LogProbs(), []

        def note(token: int, logits: Tensor) -> None:
            noted.note(token, logits)
            best, next_best = logits.topk(2).values.tolist()
            margins.append(round(best - next_best, 4))

        cache = replace(context.cache)  # its end is its own
        reader = Reader(cache, question.text, MAX_NEW_TOKENS, note=note)
        text = text_of(self.model, list(decode(self.model, reader)))
        return Said(
            type,
            question.is_right(text),
            tuple(round(value, 6) for value in noted.values),
            tuple(margins),
            tuple(round(score, 4) for score in sorted(scores, reverse=True)),
        )


def type_of(question: Question) -> str:
    """Give a question's type; one of its own for whether somebody absent was seen."""
    if question.type is QuestionType.SEEN and question.happened is None:
        return SEEN_NOT
    return question.type.value


def looks_never_seen(take: Take, count: int) -> Sequence[Question]:
    """Ask for the numbers of some who looked as nobody did while it was watched."""
    dealer = random.Random(f"{LOOKS} {take.world.seed}")
    there = {(visit.colour, visit.kind) for visit in take.world.visits(*take.window)}
    looks = [(c, k) for c in Colour for k in Kind if (c, k) not in there]
    return [
        Question(
            dealer.choice(_ASKED_BY_LOOKS).format(colour=colour, kind=kind),
            NOT_SEEN,
            QuestionType.NOT_SEEN,
            None,
            take.window,
        )
        for colour, kind in dealer.sample(looks, min(count, len(looks)))
    ]
