"""What of a time was watched and what was not: nobody can answer what nobody saw."""

from collections.abc import Iterable, Sequence

from agent.messages import Coverage, Gap, Span
from memory import watch

SEAM_S = 1.0  # chunks this near to each other are one watch
MAX_GAPS = 50  # the newest are told; an answer is a message, not a log


def coverage_of(
    camera: str,
    spans: Iterable[watch.Span],
    window: tuple[float, float],
    known_gaps: Sequence[Gap] = (),
) -> Coverage:
    """Tell when a camera was watched within a window, and when not.

    Args:
        camera: The camera.
        spans: When it was watched, as far as that overlaps the window, in time order.
        window: Start and end of what is asked about, UTC.
        known_gaps: Gaps whose reason is known; another one is `not_watched`.
    """
    watched: list[Span] = []
    for span in spans:
        start = max(span.start_ms / 1000, window[0])
        end = min(span.end_ms / 1000, window[1])
        if watched and start - watched[-1].end_s <= SEAM_S:
            end = max(end, watched[-1].end_s)
            watched[-1] = Span(camera, watched[-1].start_s, end)
        elif end > start:
            watched.append(Span(camera, start, end))

    edges = [window[0], *(t for s in watched for t in (s.start_s, s.end_s)), window[1]]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    gaps = [
        Gap(camera, start, end, _reason(start, end, known_gaps))
        for start, end in pairs
        if end - start > SEAM_S
    ]
    return Coverage(tuple(watched[-MAX_GAPS:]), tuple(gaps[-MAX_GAPS:]))


def _reason(start_s: float, end_s: float, known: Sequence[Gap]) -> str:
    """Give the kind of the known gap that overlaps the most."""

    def overlap(gap: Gap) -> float:
        return min(end_s, gap.end_s) - max(start_s, gap.start_s)

    best = max(known, key=overlap, default=None)
    return best.kind if best is not None and overlap(best) > 0 else "not_watched"
