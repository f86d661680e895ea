"""Replay: spooled chunks go into the archive, and an archive that was away is asked."""

import asyncio
import logging
from contextlib import suppress

from memory.errors import ArchiveFullError, CorruptChunkError
from memory.outage import Outage
from memory.redis_archive import RedisArchive
from memory.spool import Spool
from memory.witnesses import Witnesses

logger = logging.getLogger(__name__)


async def replay(
    spool: Spool, archive: RedisArchive, outage: Outage, witnesses: Witnesses
) -> None:
    """Carry all chunks that wait into the archive, oldest first.

    A chunk leaves the spool once the archive has it; carrying it twice is harmless.

    Raises:
        ArchiveUnavailableError: The archive is away; the rest goes on waiting.
        ArchiveFullError: The archive does not take the next chunk.
        ChunkNotFoundError: A chunk was forgotten meanwhile.
        OSError: The disk refuses.
    """
    if outage.is_on:
        with suppress(ArchiveFullError):  # an answer, if not the one hoped for
            await archive.ping()
        outage.end()
    with outage.noticed():
        await witnesses.look(archive)
        for chunk in await asyncio.to_thread(spool.pending):
            try:
                blobs = await asyncio.to_thread(spool.read, chunk)
            except CorruptChunkError as exc:
                logger.warning("spooled chunk is torn: %s", exc)
                continue
            await archive.put(chunk, blobs)
            witnesses.saw(chunk)
            await asyncio.to_thread(spool.remove, chunk)
