"""The times in which cameras were not watched go into the archive, and come back."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from ingest.clock import utc_now
from ingest.source import CameraSource
from ingest.status import GapReason
from memory.errors import MemoryStoreError
from memory.gaps import Gap, GapLog, cameras_with_gaps
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
NEWEST = 50  # more don't end in an interval


async def keep_gaps(
    store: MemoryStore, gaps: GapLog, sources: Mapping[str, CameraSource]
) -> None:
    """Keep in the archive when cameras were not watched, those of before included."""
    started_ms = _ms(utc_now())
    before: dict[str, int] | None = None
    newest = None
    while True:
        if before is None:
            before = await _load_gaps(store, gaps, sources, started_ms)
            for camera, last_ms in (before or {}).items():
                _note_absence(gaps, camera, last_ms, started_ms)
        if before is not None:
            for camera in [c for c in before if sources[c].began_s is not None]:
                first_ms = _first_ms(sources[camera])
                _note_absence(gaps, camera, before.pop(camera), first_ms)
            await write_gaps(store, gaps, sources, newest)
            newest = NEWEST
        await asyncio.sleep(INTERVAL_S)


async def write_gaps(
    store: MemoryStore,
    gaps: GapLog,
    sources: Mapping[str, CameraSource],
    newest: int | None = None,
) -> None:
    """Note what was not watched up to now, and write it if the archive takes it.

    Args:
        store: The memory.
        gaps: Where it is noted.
        sources: The cameras.
        newest: How many of a camera's gaps may be news; None for all.
    """
    for name, source in sources.items():
        for gap in source.gaps[-(newest or 0) :]:
            found = Gap(_ms(gap.start_s), _ms(gap.end_s), gap.reason.value)
            if found.start_ms < found.end_ms:
                gaps.add(name, found)
    with contextlib.suppress(MemoryStoreError), store.outage.noticed():
        await gaps.write(store.archive)


async def _load_gaps(
    store: MemoryStore,
    gaps: GapLog,
    sources: Mapping[str, CameraSource],
    started_ms: int,
) -> dict[str, int] | None:
    """Load gaps; give up to when anything is known of each camera, None if not yet."""
    if not store.loading.is_listed:
        return None
    archive = store.archive
    try:
        with store.outage.noticed():
            known = {*await archive.cameras(), *await cameras_with_gaps(archive)}
            for camera in {*sources, *known}:
                await gaps.load(archive, camera)
            last_ms = {
                camera: await _last_known_ms(store, gaps, camera, started_ms)
                for camera in sources
            }
    except MemoryStoreError as exc:
        logger.debug("gaps are loaded later: %s", exc)
        return None
    return {camera: last for camera, last in last_ms.items() if last is not None}


async def _last_known_ms(
    store: MemoryStore, gaps: GapLog, camera: str, started_ms: int
) -> int | None:
    """Give up to when a camera was watched, or is known why not; None: never."""
    spans = store.watched(camera, None, started_ms).spans
    ends = [span.end_ms for span in spans]
    ends += [gap.end_ms for gap in gaps.within(camera, None, started_ms)]
    last_ms = max(ends, default=None)
    for model in await store.archive.models(camera):
        if model != store.model:  # whose chunks are not in this memory
            archive = store.archive.of_model(model)
            chunks = await archive.timeline(camera, last_ms, started_ms)
            ends += [chunk.end_ms for chunk in chunks]
    return min(max(ends), started_ms) if ends else None


def _note_absence(gaps: GapLog, camera: str, last_ms: int, until_ms: int) -> None:
    if last_ms < until_ms:
        gaps.add(camera, Gap(last_ms, until_ms, GapReason.NOT_STARTED.value))


def _first_ms(source: CameraSource) -> int:
    """Give when anything is known of a camera that has begun: a chunk, or why not."""
    first_s = source.began_s or 0.0
    return _ms(min([first_s, *(gap.start_s for gap in source.gaps[:1])]))


def _ms(time_s: float) -> int:
    return round(time_s * 1000)
