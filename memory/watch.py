"""When the cameras were watched: every gap is known, in a few numbers for a month."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from memory.kv import ChunkId

SEAM_MS = 1000  # chunks this near to each other are one watch


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A time without a gap, UTC in milliseconds, its end exclusive."""

    start_ms: int
    end_ms: int


class WatchedTimes:
    """The spans in which each camera was watched."""

    def __init__(self) -> None:
        self._spans: dict[str, list[Span]] = {}

    def add(self, chunk: ChunkId) -> None:
        """Note that a chunk was remembered."""
        spans = self._spans.setdefault(chunk.camera, [])
        new = Span(chunk.start_ms, chunk.end_ms)
        at = bisect_left(spans, new)
        first = max(at - 1, 0)
        spans[first : at + 1] = merged([*spans[first:at], new, *spans[at : at + 1]])

    def add_all(self, camera: str, chunks: Iterable[ChunkId]) -> None:
        """Note that many chunks of a camera were remembered, in any order."""
        new = (Span(chunk.start_ms, chunk.end_ms) for chunk in chunks)
        self._spans[camera] = merged(sorted(chain(self._spans.get(camera, []), new)))

    def forget(self, camera: str, before_ms: int) -> None:
        """Drop what ended by a moment; what goes on after it begins there."""
        self._spans[camera] = [
            Span(max(span.start_ms, before_ms), span.end_ms)
            for span in self._spans.get(camera, [])
            if span.end_ms > before_ms
        ]

    def within(
        self, camera: str, start_ms: int | None, end_ms: int | None
    ) -> tuple[Span, ...]:
        """Give the spans that overlap [start_ms, end_ms), whole, in time order."""
        return tuple(
            span
            for span in self._spans.get(camera, [])
            if (end_ms is None or span.start_ms < end_ms)
            and (start_ms is None or span.end_ms > start_ms)
        )


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans, in the order of their starts, that are no further than a seam."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.start_ms - joined[-1].end_ms <= SEAM_MS:
            end_ms = max(span.end_ms, joined[-1].end_ms)
            joined[-1] = Span(joined[-1].start_ms, end_ms)
        else:
            joined.append(span)
    return joined
