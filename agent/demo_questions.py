"""Questions about simulated cameras, with answers from the world's own log."""

import random
from dataclasses import dataclass

from ingest.simulation.visit import Visit
from ingest.simulation.world import World


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question and, for a simulated camera, the truth.

    Attributes:
        text: What is asked.
        camera: The camera it is about.
        expected: The word the answer must hold, None where the truth is not known.
        happened_s: UTC at which what is asked about came into view, None likewise.
    """

    text: str
    camera: str
    expected: str | None = None
    happened_s: float | None = None

    def is_right(self, answer: str) -> bool | None:
        """Tell whether an answer holds the truth; None where it is not known."""
        if self.expected is None:
            return None
        words = answer.lower().replace(".", " ").replace(",", " ").split()
        return self.expected in words


def questions_about(
    worlds: dict[str, World], window: tuple[float, float], count: int, seed: int
) -> list[DemoQuestion]:
    """Make questions about visits that lie wholly in a window, each about another one.

    Args:
        worlds: Cameras by name.
        window: Start and end, UTC.
        count: How many; fewer if too little happened.
        seed: Which ones.
    """
    visits = [
        (camera, visit)
        for camera, world in sorted(worlds.items())
        for visit in world.visits(*window)
        if visit.plate and window[0] <= visit.enter_s and visit.leave_s <= window[1]
    ]
    dealer = random.Random(seed)
    chosen = dealer.sample(visits, min(count, len(visits)))
    return [
        _ask_about(camera, visit, number)
        for number, (camera, visit) in enumerate(chosen)
    ]


def _ask_about(camera: str, visit: Visit, number: int) -> DemoQuestion:
    text, expected = (
        (f"What colour was the {visit.kind} with number #{visit.plate}?", visit.colour),
        (f"From which side did #{visit.plate} come?", visit.enters_from),
        (f"What kind of thing was #{visit.plate}?", visit.kind),
    )[number % 3]
    return DemoQuestion(text, camera, str(expected), visit.enter_s)
