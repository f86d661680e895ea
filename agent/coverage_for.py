"""What of the time that a question is about was watched, and what was not."""

from collections.abc import Mapping

from agent.coverage import MAX_GAPS, coverage_of
from agent.messages import Coverage, Gap, Question
from ingest.source import CameraSource
from memory.gaps import GapLog
from memory.store import Watched
from memory.watch import SEAM_MS

NEWEST_GAPS = 50  # of a camera; the log has them a second later


def coverage_for(
    question: Question,
    watched: Mapping[str, Watched],
    log: GapLog,
    sources: Mapping[str, CameraSource],
) -> Coverage:
    """Tell it camera by camera.

    Args:
        question: The question.
        watched: What was watched of each camera that it is about.
        log: When cameras were not watched, as far back as that is known.
        sources: The cameras, for the newest gaps.
    """
    parts = []
    for camera, seen in watched.items():
        start_s, end_s = question.start_s, question.end_s
        spans = seen.spans[-MAX_GAPS - 1 :]  # and no gap before them is told
        since_ms = _in_ms(start_s)
        if spans and (since_ms is None or len(spans) < len(seen.spans)):
            since_ms = max(since_ms or 0, spans[0].start_ms - SEAM_MS)
        gaps = [
            Gap(camera, gap.start_ms / 1000, gap.end_ms / 1000, gap.reason)
            for gap in log.within(camera, since_ms, _in_ms(end_s))
        ]
        gaps += [
            Gap(camera, gap.start_s, gap.end_s, gap.reason.value)
            for gap in sources[camera].gaps[-NEWEST_GAPS:]
        ]
        starts = [span.start_ms / 1000 for span in spans[:1]]
        ends = [span.end_ms / 1000 for span in spans[-1:]]
        if len(spans) < len(seen.spans):
            start_s = max(start_s or 0, starts[0])
        elif start_s is None:
            start_s = min([*starts, *(gap.start_s for gap in gaps[:1])], default=0)
        if end_s is None:
            end_s = max([*ends, *(gap.end_s for gap in gaps[-1:])], default=0)
        if spans and sources[camera].is_online:
            known_s = max([*ends, *(gap.end_s for gap in gaps)])
            end_s = min(end_s, known_s)  # the chunk that comes is no gap
        if seen.is_whole and start_s < end_s:
            parts.append(coverage_of(camera, spans, (start_s, end_s), gaps))
    return Coverage(
        tuple(span for part in parts for span in part.watched),
        tuple(gap for part in parts for gap in part.gaps),
    )


def _in_ms(time_s: float | None) -> int | None:
    return None if time_s is None else round(time_s * 1000)
