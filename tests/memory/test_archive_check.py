"""What verifying finds, and mends, on each kind of server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from archived import MODEL, chunk_at
from kv_factory import make_kv

from memory.archive_check import Fault, FaultKind, check_chunk, find_chunks
from memory.codec import Compression, encode_high, encode_low
from memory.kv import ChunkId, ChunkMemory, Level
from memory.redis_archive import RedisArchive

MADE = Compression("pooling", 2)


def blobs(chunk: ChunkId, model: str = MODEL) -> tuple[bytes, bytes]:
    kv = make_kv(4, seed=1)
    memory = ChunkMemory(chunk, kv, kv.keys[:2, 0], 7)
    return (
        encode_high(memory, MADE, model, "0.0 1.0"),
        encode_low(chunk, kv, MADE, model),
    )


@pytest.fixture
async def archive(archive_url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(archive_url, model=MODEL, prefix=prefix) as archive:
        for second in range(3):
            chunk = chunk_at(second)
            await archive.put(chunk, *await asyncio.to_thread(blobs, chunk))
        yield archive


async def faults(archive: RedisArchive, *, repair: bool = False) -> list[Fault]:
    found = []
    for model, chunk in await find_chunks(archive):
        found += await check_chunk(archive.of_model(model), chunk, repair=repair)
    return found


def kinds(found: list[Fault]) -> list[tuple[int, str, Level | None]]:
    return [(f.chunk.start_ms // 1000, f.kind.value, f.level) for f in found]


async def run(archive: RedisArchive, *command: str | bytes | int) -> None:
    """Have the server do something behind the archive's back."""
    async with archive.redis.turn() as client:
        await client.execute_command(*command)


async def is_good_again(archive: RedisArchive) -> None:
    assert await faults(archive, repair=True)
    assert await faults(archive) == []


async def test_a_whole_archive_has_no_faults(archive: RedisArchive) -> None:
    other = archive.of_model("other")
    yard = chunk_at(9, "yard")
    await other.put(yard, *await asyncio.to_thread(blobs, yard, "other"))
    await archive.delete(chunk_at(1), Level.LOW)
    assert len(await find_chunks(archive)) == 4
    assert await faults(archive) == []


@pytest.mark.parametrize("at", [0, 13, 40, -1])
async def test_a_corrupt_low_kv_is_named_and_deleted(
    archive: RedisArchive, at: int
) -> None:
    high, low = await asyncio.to_thread(blobs, chunk_at(1))
    damaged = bytearray(low)
    damaged[at] ^= 4
    await archive.put(chunk_at(1), high, bytes(damaged))
    assert kinds(await faults(archive)) == [(1, "corrupt", Level.LOW)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]
    assert await archive.get(chunk_at(1), Level.HIGH) == high
    assert await archive.evicted([chunk_at(1)]) == [chunk_at(1)]


async def test_a_corrupt_high_kv_takes_its_chunk_along(archive: RedisArchive) -> None:
    high, low = await asyncio.to_thread(blobs, chunk_at(1))
    await archive.put(chunk_at(1), high[:-1], low)
    assert kinds(await faults(archive)) == [(1, "corrupt", Level.HIGH)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(0), chunk_at(2)]
    assert len(await find_chunks(archive)) == 2


async def test_the_blob_of_another_chunk_or_model_is_corrupt_here(
    archive: RedisArchive,
) -> None:
    high, low = await asyncio.to_thread(blobs, chunk_at(0))
    await archive.put(chunk_at(1), high, low)
    await archive.put(chunk_at(2), *await asyncio.to_thread(blobs, chunk_at(2), "n"))
    found = await faults(archive)
    assert kinds(found) == [
        (second, "corrupt", level) for second in (1, 2) for level in Level
    ]
    assert "chunk is" in found[0].text
    assert "model n" in found[2].text


async def test_an_entry_without_high_kv_is_named_and_removed(
    archive: RedisArchive,
) -> None:
    await archive.delete(chunk_at(1), Level.HIGH)
    assert kinds(await faults(archive)) == [(1, "missing", Level.HIGH)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(0), chunk_at(2)]


async def test_blobs_that_no_timeline_lists_are_named_and_listed_again(
    archive: RedisArchive,
) -> None:
    before = await archive.booked("door")
    await run(archive, "UNLINK", archive.keys.timeline("door", MODEL))
    await run(archive, "UNLINK", archive.keys.models("door"))
    await run(archive, "UNLINK", archive.keys.book("door", MODEL))
    assert {kind for _, kind, _ in kinds(await faults(archive))} == {"unlisted", "book"}
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]
    assert await archive.models("door") == [MODEL]
    assert await archive.booked("door") == before


async def test_a_book_that_says_something_else_is_named_and_mended(
    archive: RedisArchive,
) -> None:
    before = await archive.booked("door")
    book, name = archive.keys.book("door", MODEL), chunk_at(1).name
    await run(archive, "HSET", book, f"h:{name}", 7)
    await run(archive, "HDEL", book, f"l:{name}")
    await run(archive, "HSET", book, f"l:{chunk_at(5).name}", 7)  # of no chunk at all
    found = await faults(archive)
    assert kinds(found) == [
        *((1, "book", level) for level in Level),
        (5, "book", Level.LOW),
    ]
    assert all(fault.kind is FaultKind.BOOK for fault in found)
    await is_good_again(archive)
    assert await archive.booked("door") == before


async def test_an_evicted_low_kv_is_a_fault_of_the_book_alone(
    archive: RedisArchive,
) -> None:
    key = archive.keys.blob(chunk_at(1), Level.LOW, MODEL)
    await run(archive, "UNLINK", key)
    assert kinds(await faults(archive)) == [(1, "book", Level.LOW)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]
