"""What of a time was watched and what was not: nobody can answer what nobody saw."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from agent.messages import Coverage, Gap, Span
from memory import watch

SEAM_S = 1.0  # chunks this near to each other are one watch
MAX_GAPS = 50  # the newest are told; an answer is a message, not a log


def coverage_of(
    camera: str,
    spans: Iterable[watch.Span],
    window: tuple[float, float],
    known_gaps: Sequence[Gap] = (),
    most: int | None = MAX_GAPS,
) -> Coverage:
    """Tell when a camera was watched within a window, and when not.

    Args:
        camera: The camera.
        spans: When it was watched, as far as that overlaps the window, in time order.
        window: Start and end of what is asked about, UTC.
        known_gaps: Gaps whose reason is known; another one is `not_watched`.
        most: Spans and gaps that are told, the newest; None is all.
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
    known = sorted(known_gaps, key=lambda gap: gap.start_s)
    starts = [gap.start_s for gap in known]
    reached = [*accumulate((gap.end_s for gap in known), max)]  # by it or one before it
    gaps = [
        Gap(camera, *piece)
        for start, end in pairs
        if end - start > SEAM_S
        for piece in _pieces(
            start, end, known[bisect_right(reached, start) : bisect_left(starts, end)]
        )
    ]
    newest = slice(None if most is None else -most, None)
    return Coverage(tuple(watched[newest]), tuple(gaps[newest]))


def _pieces(
    start_s: float, end_s: float, known: Sequence[Gap]
) -> list[tuple[float, float, str]]:
    """Divide a gap by what is known of it, in order: start, end and kind of each.

    What is too short to be told joins the piece before it.
    """
    pieces: list[tuple[float, float, str]] = []
    at_s = start_s
    for gap in known:
        begin_s, stop_s = max(gap.start_s, at_s), min(gap.end_s, end_s)
        if stop_s - begin_s > SEAM_S:
            if begin_s - at_s > SEAM_S:
                pieces.append((at_s, begin_s, "not_watched"))
                at_s = begin_s
            pieces.append((at_s, stop_s, gap.kind))
            at_s = stop_s
    if end_s - at_s > SEAM_S or not pieces:
        pieces.append((at_s, end_s, "not_watched"))
    joined: list[tuple[float, float, str]] = []
    for start, end, kind in pieces:
        if joined and joined[-1][2] == kind:
            start = joined.pop()[0]
        joined.append((start, end, kind))
    last_start, _, last_kind = joined[-1]
    joined[-1] = last_start, end_s, last_kind
    return joined
