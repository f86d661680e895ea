"""What keeps memory as it should be: rebuilt, no older than wanted, its archive alive.

Each is one task of the agent that never ends, apart from rebuilding.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from memory.embedded_valkey import EmbeddedValkey
from memory.errors import ArchiveUnavailableError, MemoryStoreError
from memory.gaps import GapLog, cameras_with_gaps
from memory.retention import Freed, Limits
from memory.store import MemoryStore

logger = logging.getLogger(__name__)

RETRY_INTERVAL_S = 2.0
PROGRESS_INTERVAL_S = 2.0
RETENTION_INTERVAL_S = 60.0


async def rebuild(store: MemoryStore, cameras: Sequence[str]) -> None:
    """Load what was remembered before a restart, as soon as the archive answers."""
    while True:
        telling = asyncio.create_task(_tell_progress(store), name="agent.loading")
        started = time.monotonic()
        try:
            loaded = await store.rebuild(cameras)
            models = {name: await store.archive.models(name) for name in cameras}
        except MemoryStoreError as exc:
            logger.warning("memory is loaded later: %s", exc)
        else:
            logger.info(
                "loaded memory",
                extra={
                    "nodes": loaded.num_nodes,
                    "left_out": loaded.num_left_out,
                    "chunks": loaded.num_keys,
                    "indexed": len(store.index),
                    "seconds": round(time.monotonic() - started, 2),
                    "other_models": sorted({*chain(*models.values())} - {store.model}),
                },
            )
            return
        finally:
            telling.cancel()
        await asyncio.sleep(RETRY_INTERVAL_S)


async def _tell_progress(store: MemoryStore) -> None:
    while True:
        await asyncio.sleep(PROGRESS_INTERVAL_S)
        logger.info("loading memory: %.0f %%", 100 * store.loading.share)


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept.

    Attributes:
        age_s: Age at which a chunk is forgotten, in seconds.
        limits: What the archive may hold besides.
    """

    age_s: float
    limits: Limits


async def forget_old(
    store: MemoryStore, cameras: Sequence[str], keep: Keep, gaps: GapLog
) -> None:
    """Forget what is too old, then what is too much, again and again.

    Cameras that are no longer in the config count, too, as far as archived.
    """
    known: set[str] | None = None
    while True:
        try:
            if known is None:
                known = {*cameras, *await store.archive.cameras()}
                known.update(await cameras_with_gaps(store.archive))
            freed = await _forget(store, sorted(known), keep, gaps)
        except (MemoryStoreError, OSError) as exc:
            logger.warning("forgetting is put off: %s", exc)
        else:
            if freed != Freed():
                logger.info("retired what was too old or too much", extra=asdict(freed))
        await asyncio.sleep(RETENTION_INTERVAL_S)


async def _forget(
    store: MemoryStore, cameras: Sequence[str], keep: Keep, gaps: GapLog
) -> Freed:
    freed = Freed()
    before_ms = round((time.time() - keep.age_s) * 1000)
    for camera in cameras:
        gaps.forget(camera, before_ms)
        freed += await store.forget(camera, before_ms)
    if keep.limits != Limits():
        freed += await store.retire(cameras, keep.limits)
    return freed


async def keep_alive(valkey: EmbeddedValkey) -> None:
    """Start the embedded archive's server again whenever it dies."""
    while True:
        status = await valkey.died()
        logger.warning("the embedded archive died with status %d", status)
        await valkey.__aexit__(None, None, None)
        try:
            await valkey.__aenter__()
        except ArchiveUnavailableError as exc:
            logger.warning("%s", exc)
            await asyncio.sleep(RETRY_INTERVAL_S)
