"""The times in which cameras were not watched go into the archive, and come back."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping

from ingest.clock import utc_now
from ingest.source import CameraSource
from ingest.status import GapReason
from memory.errors import MemoryStoreError
from memory.gaps import Gap, GapLog
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0


async def keep_gaps(
    store: MemoryStore, gaps: GapLog, sources: Mapping[str, CameraSource]
) -> None:
    """Keep in the archive when cameras were not watched, those of before included."""
    started_ms = _ms(utc_now())
    is_loaded = False
    while True:
        is_loaded = is_loaded or await _load_gaps(store, gaps, sources, started_ms)
        if is_loaded:
            await write_gaps(store, gaps, sources)
        await asyncio.sleep(INTERVAL_S)


async def write_gaps(
    store: MemoryStore, gaps: GapLog, sources: Mapping[str, CameraSource]
) -> None:
    """Note what was not watched up to now, and write it if the archive takes it."""
    for name, source in sources.items():
        for gap in source.gaps:
            found = Gap(_ms(gap.start_s), _ms(gap.end_s), gap.reason.value)
            if found.start_ms < found.end_ms:
                gaps.add(name, found)
    with contextlib.suppress(MemoryStoreError), store.outage.noticed():
        await gaps.write(store.archive)


async def _load_gaps(
    store: MemoryStore,
    gaps: GapLog,
    cameras: Iterable[str],
    started_ms: int,
) -> bool:
    """Load gaps, and note the time in which no agent ran; tell if that could be."""
    if not store.loading.is_listed:
        return False
    try:
        with store.outage.noticed():
            for camera in {*cameras, *await store.archive.cameras()}:
                await gaps.load(store.archive, camera)
    except MemoryStoreError as exc:
        logger.debug("gaps are loaded later: %s", exc)
        return False
    for camera in cameras:
        spans = store.watched(camera, None, started_ms).spans
        ends = [min(span.end_ms, started_ms) for span in spans]
        ends += [gap.end_ms for gap in gaps.within(camera, None, started_ms)]
        if ends and max(ends) < started_ms:
            reason = GapReason.NOT_STARTED.value
            gaps.add(camera, Gap(max(ends), started_ms, reason))
    return True


def _ms(time_s: float) -> int:
    return round(time_s * 1000)
