"""What verifying finds, and mends, on each kind of server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from archived import MODEL, chunk_at, levels, node_at
from kv_factory import make_kv

from memory.archive_check import Fault, FaultKind, check_chunk, find_chunks
from memory.codec import (
    Compression,
    encode_keys,
    encode_low,
    encode_node,
    encode_picture,
)
from memory.errors import ChunkNotFoundError
from memory.kv import ChunkId, Level, Node, Section
from memory.redis_archive import RedisArchive
from memory.relevance import ChunkKeys

MADE = Compression("pooling", 2)


def blobs(chunk: ChunkId, model: str = MODEL) -> dict[Level, bytes]:
    kv = make_kv(4, seed=1)
    keys = ChunkKeys(chunk, kv.keys[:2, 0])
    return levels(
        encode_node(Node(chunk, kv, 1, low_tokens=7), MADE, model),
        encode_low(chunk, kv, MADE, model),
        encode_keys(keys, MADE, model, "0.0 1.0"),
        encode_picture(chunk, b"a JPEG", model),
    )


def blobs_of_node(id: ChunkId) -> dict[Level, bytes]:
    sections = tuple(Section(chunk_at(second), 1, 4) for second in range(3))
    return levels(encode_node(Node(id, make_kv(4), 1, sections), MADE, MODEL))


@pytest.fixture
async def archive(archive_url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(archive_url, model=MODEL, prefix=prefix) as archive:
        for second in range(3):
            chunk = chunk_at(second)
            await archive.put(chunk, await asyncio.to_thread(blobs, chunk))
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


async def damage(archive: RedisArchive, level: Level, at: int) -> dict[Level, bytes]:
    """Alter a byte of a chunk's blob; give the chunk's blobs as they were."""
    good = await asyncio.to_thread(blobs, chunk_at(1))
    damaged = bytearray(good[level])
    damaged[at] ^= 4
    await archive.put(chunk_at(1), good | {level: bytes(damaged)})
    return good


async def is_good_again(archive: RedisArchive) -> None:
    assert await faults(archive, repair=True)
    assert await faults(archive) == []


async def test_a_whole_archive_has_no_faults(archive: RedisArchive) -> None:
    other = archive.of_model("other")
    yard = chunk_at(9, "yard")
    await other.put(yard, await asyncio.to_thread(blobs, yard, "other"))
    await archive.delete(chunk_at(1), Level.LOW)
    assert len(await find_chunks(archive)) == 4
    assert await faults(archive) == []


@pytest.mark.parametrize("at", [0, 13, 40, -1])
async def test_a_corrupt_low_kv_is_named_and_deleted(
    archive: RedisArchive, at: int
) -> None:
    good = await damage(archive, Level.LOW, at)
    assert kinds(await faults(archive)) == [(1, "corrupt", Level.LOW)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]
    assert await archive.get(chunk_at(1), Level.HIGH) == good[Level.HIGH]
    assert await archive.get_small([chunk_at(1)], Level.KEYS) == [good[Level.KEYS]]
    assert await archive.evicted([chunk_at(1)]) == [chunk_at(1)]


@pytest.mark.parametrize("at", [0, 13, 40, -1])
async def test_corrupt_index_keys_are_named_and_they_alone_deleted(
    archive: RedisArchive, at: int
) -> None:
    good = await damage(archive, Level.KEYS, at)
    assert kinds(await faults(archive)) == [(1, "corrupt", Level.KEYS)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]
    for level in (Level.HIGH, Level.LOW):
        assert await archive.get(chunk_at(1), level) == good[level]
    found = await archive.get_small([chunk_at(s) for s in range(3)], Level.KEYS)
    assert [type(each) for each in found] == [bytes, ChunkNotFoundError, bytes]
    fine = len(good[Level.LOW]) + len(good[Level.PICTURE])
    booked = await archive.booked("door")
    assert (booked[1].high_bytes, booked[1].low_bytes) == (len(good[Level.HIGH]), fine)


async def test_a_corrupt_high_kv_takes_its_chunk_along(archive: RedisArchive) -> None:
    good = await asyncio.to_thread(blobs, chunk_at(1))
    await archive.put(chunk_at(1), good | {Level.HIGH: good[Level.HIGH][:-1]})
    assert kinds(await faults(archive)) == [(1, "corrupt", Level.HIGH)]
    await is_good_again(archive)
    assert await archive.timeline("door") == [chunk_at(0), chunk_at(2)]
    assert len(await find_chunks(archive)) == 2


async def test_the_blob_of_another_chunk_or_model_is_corrupt_here(
    archive: RedisArchive,
) -> None:
    await archive.put(chunk_at(1), await asyncio.to_thread(blobs, chunk_at(0)))
    await archive.put(chunk_at(2), await asyncio.to_thread(blobs, chunk_at(2), "n"))
    found = await faults(archive)
    assert kinds(found) == [
        (second, "corrupt", level) for second in (1, 2) for level in Level
    ]
    half = len(Level)
    assert all("chunk is" in fault.text for fault in found[:half])
    assert all("model n" in fault.text for fault in found[half:])


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
    await run(archive, "HSET", book, f"k:{name}", 7)
    await run(archive, "HDEL", book, f"p:{name}")
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


async def test_a_whole_node_has_no_faults(archive: RedisArchive) -> None:
    node = node_at(0)
    await archive.put(node, await asyncio.to_thread(blobs_of_node, node))
    assert (MODEL, node) in await find_chunks(archive)
    assert await faults(archive) == []


async def test_a_corrupt_node_is_named_and_goes_without_its_chunks(
    archive: RedisArchive,
) -> None:
    node, other = node_at(0), node_at(60)
    await archive.put(node, await asyncio.to_thread(blobs_of_node, other))
    [fault] = await faults(archive)
    assert (fault.chunk, fault.kind, fault.level) == (node, "corrupt", Level.HIGH)
    await is_good_again(archive)
    assert await archive.nodes("door") == []
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]


async def test_a_node_that_is_not_listed_is_named_and_listed_again(
    archive: RedisArchive,
) -> None:
    node = node_at(0)
    await archive.put(node, await asyncio.to_thread(blobs_of_node, node))
    await run(archive, "UNLINK", archive.keys.nodes("door", MODEL))
    [fault] = await faults(archive)
    assert (fault.chunk, fault.kind) == (node, "unlisted")
    await is_good_again(archive)
    assert await archive.nodes("door") == [node]
    assert await archive.timeline("door") == [chunk_at(s) for s in range(3)]


async def test_a_node_without_its_h_kv_is_named_and_removed(
    archive: RedisArchive,
) -> None:
    node = node_at(0)
    await archive.put(node, await asyncio.to_thread(blobs_of_node, node))
    await archive.delete(node, Level.HIGH)
    [fault] = await faults(archive)
    assert (fault.chunk, fault.kind) == (node, "missing")
    await is_good_again(archive)
    assert await archive.nodes("door") == []
