"""Questions about simulated cameras, with answers from the world's own log."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.simulation.questions import Question, QuestionType, Window, ask
from ingest.simulation.world import World

TYPES = (QuestionType.COLOUR, QuestionType.SIDE, QuestionType.KIND)
_TRIES = 200


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question and, for a simulated camera, the truth.

    Attributes:
        text: What is asked.
        camera: The camera it is about.
        truth: The question with its answer, None where that is not known.
    """

    text: str
    camera: str
    truth: Question | None = None

    @property
    def expected(self) -> str | None:
        """The right answer; None where it is not known."""
        return None if self.truth is None else self.truth.answer

    @property
    def happened_s(self) -> float | None:
        """UTC from which what is asked about may be in view; None likewise."""
        if self.truth is None or self.truth.happened is None:
            return None
        return self.truth.happened[0]

    def is_right(self, answer: str) -> bool | None:
        """Judge an answer as the simulation does; None where the truth is not known."""
        return None if self.truth is None else self.truth.is_right(answer)


def questions_about(
    worlds: Mapping[str, World],
    windows: Mapping[str, Window],
    count: int,
    seed: int,
) -> list[DemoQuestion]:
    """Ask about visits that were watched from beginning to end, each about another one.

    Args:
        worlds: Cameras by name.
        windows: Start and end, UTC, of what was watched of each.
        count: How many; fewer if too little happened.
        seed: Which ones.
    """
    dealer = random.Random(seed)
    found: dict[tuple[str, object], DemoQuestion] = {}
    for _ in range(_TRIES):
        if len(found) == count:
            break
        camera = dealer.choice(sorted(worlds))
        visits = worlds[camera].visits(*windows[camera])
        type = TYPES[len(found) % len(TYPES)]
        truth = ask(visits, [windows[camera]], type, dealer)
        if truth is not None:
            question = DemoQuestion(truth.text, camera, truth)
            found.setdefault((camera, truth.happened), question)
    return list(found.values())
