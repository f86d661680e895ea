"""Is the archive what it says it is? Every blob read, every record of it compared.

What is kept of a chunk is read in one transaction, so that an agent may run meanwhile:
a chunk is judged as it was at one instant.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from memory.archive_keys import entry
from memory.codec import decode_keys, decode_low, decode_node, decode_picture
from memory.errors import MemoryStoreError
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive
from memory.redis_connection import Command


class FaultKind(StrEnum):
    """What can be wrong with a chunk."""

    MISSING = "missing"  # listed, without H-KV
    CORRUPT = "corrupt"  # a blob that does not prove itself
    UNLISTED = "unlisted"  # blobs that are not listed
    BOOK = "book"  # sizes that are not those of the blobs


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a chunk.

    Attributes:
        chunk: The chunk.
        model: Fingerprint of the model it is under.
        kind: What kind of fault.
        level: Which of its blobs, None for all.
        text: What was found.
    """

    chunk: ChunkId
    model: str
    kind: FaultKind
    level: Level | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """All that the archive holds of one chunk, at one instant.

    Attributes:
        is_listed: Whether it is in the timeline, and its model among the models.
        blobs: The blobs that are there.
        booked: Their sizes by the book.
    """

    is_listed: bool
    blobs: Mapping[Level, bytes]
    booked: Mapping[Level, int]


async def find_chunks(archive: RedisArchive) -> list[tuple[str, ChunkId]]:
    """Give model and chunk of everything that any key tells of, in time order.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    names: dict[tuple[str, str], set[str]] = {}
    for key in await archive.redis.scan(archive.keys.pattern()):
        parts = archive.keys.parse(key)
        if parts is not None:
            named = names.setdefault((parts.camera, parts.model), set())
            named |= {parts.rest.partition(":")[2]} - {""}
    found = set()
    for (camera, model), named in names.items():
        chunks = await archive.of_model(model).timeline(camera)
        chunks += await archive.of_model(model).nodes(camera)
        chunks += [b.chunk for b in await archive.of_model(model).booked(camera)]
        chunks += [ChunkId.parse(camera, name) for name in named]
        found |= {(model, chunk) for chunk in chunks}
    return sorted(found, key=lambda each: (each[1], each[0]))


async def check_chunk(
    archive: RedisArchive, chunk: ChunkId, *, repair: bool = False
) -> list[Fault]:
    """Give what is wrong with a chunk of an archive's model.

    Args:
        archive: Of the model.
        chunk: The chunk.
        repair: Delete what can't be read, and mend the rest.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    kept = await _kept(archive, chunk)
    faults = await asyncio.to_thread(faults_of, kept, chunk, archive.model)
    if repair and faults:
        await _repair(archive, chunk, kept, faults)
    return faults


def faults_of(kept: Kept, chunk: ChunkId, model: str) -> list[Fault]:
    """Judge a chunk by all that is kept of it; of nothing at all nothing is wrong."""
    faults = []
    if kept.is_listed and Level.HIGH not in kept.blobs:
        missing = "listed, without H-KV"
        faults.append(Fault(chunk, model, FaultKind.MISSING, Level.HIGH, missing))
    for level, blob in kept.blobs.items():
        try:
            if level is Level.HIGH:
                decode_node(blob, chunk, model)
            elif level is Level.LOW:
                decode_low(blob, chunk, model)
            elif level is Level.KEYS:
                decode_keys(blob, chunk, model, index="")
            else:
                decode_picture(blob, chunk, model)
        except MemoryStoreError as exc:
            faults.append(Fault(chunk, model, FaultKind.CORRUPT, level, str(exc)))
    if kept.blobs and not kept.is_listed:
        unlisted = "blobs that are not listed"
        faults.append(Fault(chunk, model, FaultKind.UNLISTED, None, unlisted))
    sizes = {level: len(blob) for level, blob in kept.blobs.items()}
    for level in Level:
        there, booked = sizes.get(level), kept.booked.get(level)
        if there != booked:
            text = f"{there or 'no'} bytes, by the book {booked or 'no'}"
            faults.append(Fault(chunk, model, FaultKind.BOOK, level, text))
    return faults


async def _repair(
    archive: RedisArchive, chunk: ChunkId, kept: Kept, faults: list[Fault]
) -> None:
    corrupt = {
        fault.level
        for fault in faults
        if fault.kind is FaultKind.CORRUPT and fault.level is not None
    }
    good = {lv: len(b) for lv, b in kept.blobs.items() if lv not in corrupt}
    if Level.HIGH not in good:
        await archive.remove([chunk])
        return
    for level in corrupt:
        await archive.delete(chunk, level)
    book = archive.keys.book(chunk.camera, archive.model)
    mending: list[Command] = [
        ("HSET", book, entry(chunk, level), size) for level, size in good.items()
    ]
    mending += [("HDEL", book, entry(chunk, lv)) for lv in Level if lv not in good]
    await archive.redis.transact([*mending, *archive.listing(chunk)])


async def _kept(archive: RedisArchive, chunk: ChunkId) -> Kept:
    keys, camera, model = archive.keys, chunk.camera, archive.model
    fields = [entry(chunk, level) for level in Level]
    score, is_known, sizes, *blobs = await archive.redis.transact(
        [
            ("ZSCORE", keys.listing(chunk, model), chunk.name),
            ("SISMEMBER", keys.models(camera), model),
            ("HMGET", keys.book(camera, model), *fields),
            *(("GET", keys.blob(chunk, level, model)) for level in Level),
        ]
    )
    return Kept(
        score is not None and bool(is_known),
        {lv: b for lv, b in zip(Level, blobs, strict=True) if b is not None},
        {lv: int(n) for lv, n in zip(Level, sizes, strict=True) if n is not None},
    )
