"""Whether a soaked camera was watched without a break that nobody was told of."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.soak_faults import Kind, Plan, Suffered
from ingest.frame import FrameChunk
from ingest.source import CameraSource
from ingest.status import CameraState, Gap

FPS = 2.0
SLACK_S = 3 / FPS  # what is no gap by the recorder's own rule
EDGE_S = 1 / FPS + 0.5  # a chunk ends one interval after its frame; commands take time
_NO_OUTAGE = (Kind.RESIZE, Kind.READER_KILLED, Kind.READER_CRASHED)

Span = tuple[float, float]


@dataclass(slots=True)
class Consumer:
    """Takes the chunks of one camera, and looks at nothing but their times.

    Attributes:
        chunks: How many came.
        overlaps: How many began before the one before them had ended.
        holes: Where the next one began later than the one before had ended.
        has_begun: Set with the first chunk.
        has_ended: Whether the camera's iteration ended, which it must not.
    """

    source: CameraSource
    chunks: int = 0
    overlaps: int = 0
    holes: list[Span] = field(default_factory=list)
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: bool = False
    _until_s: float | None = None

    async def consume(self) -> None:
        """Take chunks until cancelled."""
        async for chunk in self.source:
            self.see(chunk)
        self.has_ended = True

    def see(self, chunk: FrameChunk) -> None:
        """Compare a chunk with the one before."""
        if self._until_s is not None:
            self.overlaps += chunk.start_s < self._until_s
            if chunk.start_s - self._until_s > SLACK_S:
                self.holes.append((self._until_s, chunk.start_s))
        self.chunks += 1
        self.has_begun.set()
        self._until_s = chunk.end_s


def uncovered_s(span: Span, gaps: Iterable[Gap]) -> float:
    """Give how much of a time no gap covers; gaps do not overlap."""
    start_s, end_s = span
    covered_s = sum(
        max(0.0, min(end_s, gap.end_s) - max(start_s, gap.start_s)) for gap in gaps
    )
    return max(0.0, end_s - start_s - covered_s)


def outage(fault: Suffered, plan: Plan) -> Span | None:
    """Give the time that has to be in a gap after a fault, if any has to be."""
    is_stopped = fault.kind is Kind.READER_STOPPED  # until it is killed for it
    is_long = is_stopped or fault.end_s - fault.start_s >= plan.stall_s
    if fault.kind in _NO_OUTAGE or not is_long:
        return None
    return fault.start_s + EDGE_S, fault.end_s - EDGE_S


def judge(
    consumers: Sequence[Consumer], suffered: Sequence[Suffered], plan: Plan
) -> dict[str, int]:
    """Count what was lost; all of it must be 0.

    Call it while the sources are still entered, and nothing is wrong with them.
    """
    gaps = [consumer.source.gaps for consumer in consumers]
    spans = [(fault.camera, outage(fault, plan)) for fault in suffered]
    return {
        "outages_without_a_gap": sum(
            uncovered_s(span, gaps[camera]) > 0 for camera, span in spans if span
        ),
        "holes_without_a_gap": sum(
            uncovered_s(hole, gaps[number]) > 1 / FPS
            for number, consumer in enumerate(consumers)
            for hole in consumer.holes
        ),
        "chunks_out_of_order": sum(consumer.overlaps for consumer in consumers),
        "chunks_dropped": sum(c.source.status.dropped_chunks for c in consumers),
        "gaps_of_the_camera_left_alone": len(gaps[0]),
        "cameras_not_back": sum(
            consumer.source.status.state is not CameraState.ONLINE
            for consumer in consumers
        ),
        "consumers_ended": sum(consumer.has_ended for consumer in consumers),
    }


def tell(
    consumers: Sequence[Consumer], suffered: Sequence[Suffered], plan: Plan
) -> dict[str, object]:
    """Give what happened: faults by kind, gaps, and how soon cameras were back."""
    back_s = []
    for fault in suffered:
        gaps = consumers[fault.camera].source.gaps
        if outage(fault, plan):
            ends_s = [g.end_s for g in gaps if g.start_s < fault.end_s < g.end_s]
            back_s += [end_s - fault.end_s for end_s in ends_s]
    return {
        "faults": dict(Counter(str(fault.kind) for fault in suffered)),
        "outages": sum(outage(fault, plan) is not None for fault in suffered),
        "chunks": sum(consumer.chunks for consumer in consumers),
        "gaps": sum(len(consumer.source.gaps) for consumer in consumers),
        "reconnects": sum(c.source.status.reconnects for c in consumers),
        "back_after_s_median": round(median(back_s), 2) if back_s else None,
        "back_after_s_worst": round(max(back_s), 2) if back_s else None,
    }
