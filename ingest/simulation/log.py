"""What happened while a simulated camera was watched: the truth that is asked about."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.simulation.visit import Visit

Window = tuple[float, float]  # start and end, UTC


@dataclass(frozen=True, slots=True)
class Log:
    """What happened while a camera was watched.

    Attributes:
        window: Start of the first and end of the last window, UTC.
        all: Visits that overlap a window.
        whole: Those that lie in one.
        subjects: Those of them that are asked about, with a plate that no other has.
    """

    window: Window
    all: list[Visit]
    whole: list[Visit]
    subjects: list[Visit]

    @classmethod
    def of(
        cls,
        visits: Sequence[Visit],
        windows: Sequence[Window],
        about: Window | None,
    ) -> "Log":
        """Sort visits by what was watched of them.

        Args:
            visits: What passed the camera.
            windows: Start and end, UTC, of each time without a gap that was watched.
            about: When what is asked about was over, UTC, None for any time.
        """
        seen, whole = [], []
        for visit in visits:
            enter_s, leave_s = visit.enter_s, visit.leave_s
            if any(enter_s < end and leave_s > start for start, end in windows):
                seen.append(visit)
            if any(start <= enter_s and leave_s <= end for start, end in windows):
                whole.append(visit)
        plates = Counter(v.plate for v in seen)
        subjects = [
            v
            for v in whole
            if v.plate is not None
            and plates[v.plate] == 1
            and (about is None or about[0] <= v.leave_s < about[1])
        ]
        return cls((windows[0][0], windows[-1][1]), seen, whole, subjects)

    def absent(self, dealer: random.Random) -> int:
        """Give a plate that was not there."""
        there = {visit.plate for visit in self.all}
        return dealer.choice([p for p in range(10, 100) if p not in there])
