"""What is remembered of a camera's time: when it was watched, and in what detail."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.coverage import coverage_of
from agent.http.answers import json_response
from agent.http.errors import ApiError
from agent.http.house import House
from agent.http.requests import camera_of, house_of, time_of
from agent.http.standing import alerts_of
from agent.messages import Coverage, Gap, to_iso
from ingest.clock import utc_now
from ingest.status import CameraState
from memory.errors import ArchiveUnavailableError
from memory.kv import ChunkId

MAX_CHUNKS = 2000
_MAX_SPANS = 2000  # of each kind, the newest
_NEWEST_GAPS = 50  # the log has them a second later


async def timeline(request: Request) -> Response:
    """Tell what is remembered of a camera from one time to another."""
    house = house_of(request)
    camera = camera_of(request, request.query_params.get("camera", ""))
    most = _most(request)
    start_s, end_s = time_of(request, "from"), time_of(request, "to")
    end_s = utc_now() if end_s is None else end_s
    start_s = _began(house, camera, end_s) if start_s is None else start_s
    if start_s >= end_s:
        raise ApiError(400, "bad_window", "from must be before to")
    coverage, is_whole = _coverage(house, camera, start_s, end_s)
    times = round(start_s * 1000), round(end_s * 1000)
    chunks, is_asked = await house.store.reader.stored(camera, times)
    is_thinned = len(chunks) > most
    levels = {} if is_thinned else await _levels(house, camera, sorted(chunks))
    body = {
        "camera": camera,
        "from": to_iso(start_s),
        "to": to_iso(end_s),
        "watched": [_span(span.start_s, span.end_s) for span in coverage.watched],
        "gaps": [_span(g.start_s, g.end_s) | {"kind": g.kind} for g in coverage.gaps],
        "chunks": [_chunk(chunk, level) for chunk, level in levels.items()],
        "alerts": alerts_of(house, [camera], start_s, end_s),
        "is_thinned": is_thinned,
        "is_whole": is_whole and is_asked,
    }
    return json_response(body)


def _most(request: Request) -> int:
    """Give how many chunks may be told one by one."""
    text = request.query_params.get("buckets") or str(MAX_CHUNKS)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_CHUNKS):
        message = f"buckets is a whole number from 1 to {MAX_CHUNKS}"
        raise ApiError(400, "bad_field", message)
    return int(text)


def _began(house: House, camera: str, end_s: float) -> float:
    """Give when the first that is known of a camera began, or a day ago."""
    starts = [span.start_ms for span in house.store.watched(camera).spans[:1]]
    starts += [gap.start_ms for gap in house.gaps.within(camera)[:1]]
    return min((start / 1000 for start in starts), default=end_s - 86_400)


def _coverage(
    house: House, camera: str, start_s: float, end_s: float
) -> tuple[Coverage, bool]:
    """Tell when it was watched, and whether that is all that there is to tell."""
    start_ms, end_ms = round(start_s * 1000), round(end_s * 1000)
    seen = house.store.watched(camera, start_ms, end_ms)
    gaps = [
        Gap(camera, gap.start_ms / 1000, gap.end_ms / 1000, gap.reason)
        for gap in house.gaps.within(camera, start_ms, end_ms)
    ]
    gaps += [
        Gap(camera, gap.start_s, gap.end_s, gap.reason.value)
        for gap in house.watchers[camera].source.gaps[-_NEWEST_GAPS:]
    ]
    end_s = min(end_s, utc_now())  # the future is no gap
    source = house.watchers[camera].source
    if seen.spans and source.status.state is CameraState.ONLINE:
        end_s = min(end_s, seen.spans[-1].end_ms / 1000)  # nor the chunk that comes
    if start_s >= end_s:
        return Coverage(), seen.is_whole
    told = coverage_of(camera, seen.spans, (start_s, end_s), gaps, most=_MAX_SPANS)
    return told, seen.is_whole


async def _levels(
    house: House, camera: str, chunks: Sequence[ChunkId]
) -> dict[ChunkId, str]:
    """Give in what detail each chunk can be read.

    `low` is told of what can't be looked up now: a question tries it.
    """
    if not chunks:
        return {}
    nodes = [node.id for node in house.store.resident.nodes([camera])]
    starts = [node.start_ms for node in nodes]
    try:
        with house.store.outage.noticed():
            gone = set(await house.store.archive.evicted(chunks))
    except ArchiveUnavailableError:
        gone = set()
    gone -= set(await house.spooled())

    def level(chunk: ChunkId) -> str:
        if chunk not in gone:
            return "low"
        at = bisect_right(starts, chunk.start_ms) - 1
        is_summed = at >= 0 and not nodes[at].is_chunk
        is_summed = is_summed and chunk.end_ms <= nodes[at].end_ms
        return "summary" if is_summed else "high"

    return {chunk: level(chunk) for chunk in chunks}


def _chunk(chunk: ChunkId, level: str) -> dict[str, Any]:
    times = _span(chunk.start_ms / 1000, chunk.end_ms / 1000)
    return {"chunk": chunk.name, **times, "level": level}


def _span(start_s: float, end_s: float) -> dict[str, Any]:
    return {"start": to_iso(start_s), "end": to_iso(end_s)}


ROUTES = (Route("/api/timeline", timeline, methods=["GET"]),)
