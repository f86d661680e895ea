"""When cameras were watched and when not, as the archive tells it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from agent.coverage import coverage_of
from agent.messages import Coverage, Gap
from memory.gaps import GapLog, cameras_with_gaps
from memory.redis_archive import RedisArchive
from memory.watch import WatchedTimes


async def look_up(
    archive: RedisArchive,
    cameras: Sequence[str],
    start_ms: int | None,
    end_ms: int | None,
) -> list[Coverage]:
    """Give the coverage of each camera, whatever model watched it.

    Args:
        archive: Of any model.
        cameras: Which; none are all that anything is archived of.
        start_ms: From when on, UTC; None is the first that is known.
        end_ms: Until when; None is the last.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    found = []
    known = {*await archive.cameras(), *await cameras_with_gaps(archive)}
    for camera in cameras or sorted(known):
        watched, log = WatchedTimes(), GapLog()
        for model in await archive.models(camera):
            own = archive.of_model(model)
            watched.add_all(camera, await own.timeline(camera, start_ms, end_ms))
        await log.load(archive, camera)
        spans = watched.within(camera, start_ms, end_ms)
        gaps = log.within(camera, start_ms, end_ms)
        times = [*((s.start_ms, s.end_ms) for s in spans)]
        times += [(gap.start_ms, gap.end_ms) for gap in gaps]
        if times:
            first = min(start for start, _ in times) if start_ms is None else start_ms
            last = max(end for _, end in times) if end_ms is None else end_ms
            told = [
                Gap(camera, g.start_ms / 1e3, g.end_ms / 1e3, g.reason) for g in gaps
            ]
            window = first / 1e3, last / 1e3
            found.append(coverage_of(camera, spans, window, told, most=None))
    return found


def rows_of(coverages: Sequence[Coverage]) -> list[dict[str, Any]]:
    """Give a row for each time watched and each gap, camera by camera, in time order.

    Each has `camera`, `start` and `end` (ISO 8601), `seconds`, and `what`: `watched` or
    the reason of the gap.
    """
    rows = []
    for coverage in coverages:
        parts = [(s.start_s, s.end_s, s.camera, "watched") for s in coverage.watched]
        parts += [(g.start_s, g.end_s, g.camera, g.kind) for g in coverage.gaps]
        for start_s, end_s, camera, what in sorted(parts):
            times = {"start": _iso(start_s), "end": _iso(end_s)}
            rows.append(
                {"camera": camera, **times, "seconds": end_s - start_s, "what": what}
            )
    return rows


def show_coverage(rows: Sequence[dict[str, Any]]) -> Table:
    """Show the rows, and below them what share of the time each camera was watched."""
    table = Table("camera", "from", "to", "seconds", "what", box=SIMPLE)
    for row in rows:
        told = f"{row['seconds']:,.0f}"
        table.add_row(row["camera"], row["start"], row["end"], told, row["what"])
    for camera in dict.fromkeys(row["camera"] for row in rows):
        own = [row for row in rows if row["camera"] == camera]
        whole = sum(row["seconds"] for row in own)
        watched = sum(row["seconds"] for row in own if row["what"] == "watched")
        share = f"{100 * watched / whole:.2f} % watched"
        table.add_row(camera, own[0]["start"], own[-1]["end"], f"{whole:,.0f}", share)
    return table


def _iso(time_s: float) -> str:
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
