"""What the archive commands do, free of how it is shown."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from memory.archive_check import Fault, check_chunk, find_chunks
from memory.archive_file import (
    ArchiveWriter,
    CameraGaps,
    Record,
    count_records,
    read_records,
)
from memory.archive_upkeep import carry_out
from memory.errors import ChunkNotFoundError
from memory.gaps import GapLog, cameras_with_gaps
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive
from memory.retention import Booked, Freed, Limits, plan_retirement

Tell = Callable[[int, int], None]
"""Is told how much is done, of how much."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which chunks a command is about.

    Attributes:
        cameras: Of these cameras; empty: of all.
        models: Of models with these fingerprints; empty: of all.
        start_ms: From this time on; None: from the first.
        end_ms: Up to this time; None: to the last.
    """

    cameras: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    start_ms: int | None = None
    end_ms: int | None = None

    async def among(self, archive: RedisArchive) -> list[tuple[str, str]]:
        """Give each camera and model of the archive that it is about."""
        return [
            (camera, model)
            for camera in await archive.cameras()
            if not self.cameras or camera in self.cameras
            for model in await archive.models(camera)
            if not self.models or model in self.models
        ]


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying found.

    Attributes:
        num_chunks: Chunks looked at, and nodes.
        faults: What is wrong.
    """

    num_chunks: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What importing did.

    Attributes:
        num_chunks: Chunks that are in the archive now.
        num_skipped: Chunks that were there.
    """

    num_chunks: int
    num_skipped: int


async def take_stock(archive: RedisArchive, scope: Scope) -> list[Booked]:
    """Give every chunk of the scope by the book, and change nothing.

    What the book does not know has 0 bytes, and so has L-KV that the server evicted.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    found: list[Booked] = []
    for camera, model in await scope.among(archive):
        own = archive.of_model(model)
        booked = {each.chunk: each for each in await own.booked(camera)}
        for chunk in await own.evicted([c for c, b in booked.items() if b.low_bytes]):
            booked[chunk] = replace(booked[chunk], low_bytes=0)
        for chunk in await own.timeline(camera):
            booked.setdefault(chunk, Booked(chunk.end_ms, chunk, model, 0, 0))
        found += booked.values()
    return found


async def verify(archive: RedisArchive, tell: Tell, *, repair: bool) -> Verified:
    """Read every blob and compare every record of it.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    chunks = await find_chunks(archive)
    faults: list[Fault] = []
    for number, (model, chunk) in enumerate(chunks, start=1):
        faults += await check_chunk(archive.of_model(model), chunk, repair=repair)
        tell(number, len(chunks))
    return Verified(len(chunks), tuple(faults))


async def prune(
    archive: RedisArchive,
    scope: Scope,
    limits: Limits,
    is_wanted: Callable[[Freed], bool],
) -> Freed:
    """Bring the scope within limits, if that is wanted; give what goes.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    plan = plan_retirement(await take_stock(archive, scope), limits)
    if plan.freed != Freed() and is_wanted(plan.freed):
        await carry_out(archive, plan)
    return plan.freed


async def export_chunks(
    archive: RedisArchive, scope: Scope, path: Path, tell: Tell
) -> int:
    """Write the chunks of the scope to a file, and its gaps; give how many chunks.

    Raises:
        ArchiveUnavailableError: The archive does not answer; then there is no file.
        OSError: The file can't be written.
    """
    wanted = []
    for camera, model in await scope.among(archive):
        own = archive.of_model(model)
        chunks = await own.timeline(camera, scope.start_ms, scope.end_ms)
        wanted += [(own, chunk) for chunk in chunks]
    gaps = await _load_gaps(archive, scope)
    writer = ArchiveWriter(path)
    await asyncio.to_thread(writer.open)
    try:
        for each in gaps:
            await asyncio.to_thread(writer.write, each)
        for number, (own, chunk) in enumerate(wanted, start=1):
            record = await _load(own, chunk)
            if record is not None:
                await asyncio.to_thread(writer.write, record)
            tell(number, len(wanted))
        await asyncio.to_thread(writer.finish)
    finally:
        await asyncio.to_thread(writer.close)
    return writer.count - len(gaps)


async def _load_gaps(archive: RedisArchive, scope: Scope) -> list[CameraGaps]:
    """Give the gaps of the scope, camera by camera."""
    log, found = GapLog(), []
    for camera in await cameras_with_gaps(archive):
        if not scope.cameras or camera in scope.cameras:
            await log.load(archive, camera)
            gaps = tuple(log.within(camera, scope.start_ms, scope.end_ms))
            found += [CameraGaps(camera, gaps)] if gaps else []
    return found


async def _load(archive: RedisArchive, chunk: ChunkId) -> Record | None:
    """Give what there is of a chunk; None if it has gone meanwhile."""
    blobs: dict[Level, bytes] = {}
    for level in Level:
        with suppress(ChunkNotFoundError):
            blobs[level] = await archive.get(chunk, level)
    return Record(archive.model, chunk, blobs) if Level.HIGH in blobs else None


async def import_chunks(archive: RedisArchive, path: Path, tell: Tell) -> Imported:
    """Store a file's chunks, apart from those that are there, and its gaps.

    The whole file is read first, so that a damaged one changes nothing.

    Raises:
        DamagedFileError: The file is damaged.
        ArchiveUnavailableError: The archive does not answer; what is stored by then is
            skipped the next time.
        ArchiveFullError: It takes no more; likewise.
        OSError: The file can't be read.
    """
    total = await asyncio.to_thread(count_records, path)
    records = read_records(path)
    num_chunks, num_skipped = 0, 0
    for number in range(1, total + 1):
        match await asyncio.to_thread(next, records):
            case CameraGaps() as found:
                await _store_gaps(archive, found)
            case record:
                own = archive.of_model(record.model)
                if await own.keeps(record.chunk):
                    num_skipped += 1
                else:
                    await own.put(record.chunk, record.blobs)
                    num_chunks += 1
        tell(number, total)
    return Imported(num_chunks, num_skipped)


async def _store_gaps(archive: RedisArchive, found: CameraGaps) -> None:
    """Have the archive know a camera's gaps beside those that it knows."""
    log = GapLog()
    await log.load(archive, found.camera)
    for gap in found.gaps:
        log.add(found.camera, gap)
    await log.write(archive)
