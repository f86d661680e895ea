"""What alerts are worth: right, too many or missing, by the world's own log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from ingest.simulation.questions import Question

LATE_CHUNKS = 1  # after the one in which it leaves, an alert is still about it


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What one question's alerts are worth.

    Attributes:
        events: Things that happened, of which an alert should tell: 0 or 1.
        delays_s: For each that was told, from when it began to the alert.
        false: Alerts about nothing that happened.
        repeats: Alerts about what was told already.
    """

    events: int
    delays_s: tuple[float, ...]
    false: int
    repeats: int


@dataclass(slots=True, eq=False)
class Scores:
    """The scores of all questions that one rule was asked.

    Attributes:
        all: Of each question.
        model_s: The model's time that it took.
        verdicts: What the model was asked, in all.
        checked: Chunks that were looked at.
        chunks: Chunks that there were.
    """

    all: list[Score] = field(default_factory=list)
    model_s: float = 0.0
    verdicts: int = 0
    checked: int = 0
    chunks: int = 0

    def add(self, other: "Scores") -> None:
        """Add those of another stream."""
        self.all += other.all
        self.model_s += other.model_s
        self.verdicts += other.verdicts
        self.checked += other.checked
        self.chunks += other.chunks

    def summary(self, chunk_s: float) -> dict[str, Any]:
        """Give the figures of a row."""
        events = sum(score.events for score in self.all)
        delays = sorted(delay for score in self.all for delay in score.delays_s)
        false = sum(score.false for score in self.all)
        repeats = sum(score.repeats for score in self.all)
        alerts = len(delays) + false + repeats
        return {
            "questions": len(self.all),
            "events": events,
            "alerts": alerts,
            "right": len(delays),
            "false": false,
            "repeats": repeats,
            "precision": round(len(delays) / alerts, 4) if alerts else None,
            "recall": round(len(delays) / events, 4) if events else None,
            "delay_s": _spread(delays),
            "checked_share": round(self.checked / self.chunks, 4),
            "verdicts_per_chunk": round(self.verdicts / self.chunks, 2),
            "model_ms_per_chunk": round(self.model_s * 1000 / self.chunks, 2),
            "model_share": round(self.model_s / (self.chunks * chunk_s), 5),
        }


def score(question: Question, times_s: Sequence[float], chunk_s: float) -> Score:
    """Judge the alerts of one question, given by the ends of their chunks, UTC."""
    if question.happened is None:
        return Score(0, (), len(times_s), 0)
    began_s, over_s = question.happened
    last_s = over_s + (1 + LATE_CHUNKS) * chunk_s
    right = [time_s for time_s in times_s if began_s < time_s <= last_s]
    delays_s = tuple(time_s - began_s for time_s in right[:1])
    return Score(1, delays_s, len(times_s) - len(right), max(len(right) - 1, 0))


def _spread(delays: Sequence[float]) -> Mapping[str, float] | None:
    if len(delays) < 2:
        return None
    cuts = quantiles(delays, n=10, method="inclusive")
    return {"median": round(cuts[4], 2), "p90": round(cuts[8], 2)}
