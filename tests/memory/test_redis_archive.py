"""What the archive keeps of chunks, on each kind of server."""

import pytest
from archived import MODEL, chunk_at, levels, sizes
from redis.asyncio import Redis
from servers import RedisServer
from waiting import until

from memory.archive_upkeep import retire, strike_evicted
from memory.errors import ChunkNotFoundError
from memory.kv import ChunkId, Level
from memory.redis_archive import LONGEST_CHUNK_MS, RedisArchive
from memory.retention import Freed, Limits

HOUR_MS = 3_600_000


async def test_all_levels_come_back(archive: RedisArchive):
    await archive.put(chunk_at(1), levels(b"high", b"low", b"keys"))
    assert await archive.get(chunk_at(1), Level.HIGH) == b"high"
    assert await archive.get(chunk_at(1), Level.LOW) == b"low"
    assert await archive.get(chunk_at(1), Level.KEYS) == b"keys"


async def test_keys_are_as_documented(archive: RedisArchive, prefix: str):
    chunk = chunk_at(1)
    await archive.put(chunk, levels(b"high", b"low", b"index keys"))
    camera = f"{prefix}:{{door}}"
    assert await archive.redis.scan(f"{prefix}:*") == {
        f"{camera}:models",
        f"{camera}:{MODEL}:timeline",
        f"{camera}:{MODEL}:bytes",
        f"{camera}:{MODEL}:h:{chunk.name}",
        f"{camera}:{MODEL}:l:{chunk.name}",
        f"{camera}:{MODEL}:k:{chunk.name}",
    }
    assert await archive.redis.read_hash(f"{camera}:{MODEL}:bytes") == {
        f"h:{chunk.name}".encode(): b"4",
        f"l:{chunk.name}".encode(): b"3",
        f"k:{chunk.name}".encode(): b"10",
    }


async def test_storing_again_changes_nothing(archive: RedisArchive, prefix: str):
    for _ in range(2):
        await archive.put(chunk_at(1), levels(b"high", b"low"))
    assert await archive.timeline("door") == [chunk_at(1)]
    assert len(await archive.redis.scan(f"{prefix}:*")) == 5
    assert await sizes(archive) == {1: (4, 3)}


async def test_the_timeline_entry_is_written_last_in_one_transaction(
    redis_server: RedisServer, prefix: str
):
    async with (
        RedisArchive(redis_server.url, model=MODEL, prefix=prefix) as archive,
        Redis.from_url(redis_server.url, decode_responses=True) as server,
        server.monitor() as monitor,
    ):
        await archive.put(chunk_at(1), levels(b"high", b"low", b"keys"))
        seen: list[str] = []
        while "EXEC" not in seen:
            command = await monitor.next_command()
            seen.append(command["command"].split()[0])
    transaction = seen[seen.index("MULTI") :]
    writing = ["SET", "SET", "SET", "HSET", "SADD", "ZADD"]
    assert transaction == ["MULTI", *writing, "EXEC"]


async def test_a_chunk_never_stored_is_not_found(archive: RedisArchive):
    with pytest.raises(ChunkNotFoundError) as caught:
        await archive.get(chunk_at(1), Level.LOW)
    assert (caught.value.chunk, caught.value.level) == (chunk_at(1), Level.LOW)


async def test_a_chunk_in_the_timeline_without_its_blob_is_not_found(
    archive: RedisArchive,
):
    await archive.put(chunk_at(1), levels(b"high", b"low"))
    await archive.delete(chunk_at(1), Level.LOW)
    assert await archive.timeline("door") == [chunk_at(1)]
    assert await archive.get(chunk_at(1), Level.HIGH) == b"high"
    with pytest.raises(ChunkNotFoundError):
        await archive.get(chunk_at(1), Level.LOW)


async def test_many_come_back_in_their_places_with_errors_in_theirs(
    archive: RedisArchive,
):
    for second in range(0, 20, 2):
        await archive.put(chunk_at(second), levels(b"high", b"low %d" % second))
    found = await archive.get_many([(chunk_at(s), Level.LOW) for s in range(20)])
    assert found[::2] == [b"low %d" % s for s in range(0, 20, 2)]
    assert all(isinstance(error, ChunkNotFoundError) for error in found[1::2])


async def test_index_keys_come_back_in_order_with_errors_where_there_are_none(
    archive: RedisArchive,
):
    cameras = [f"camera-{number}" for number in range(4)]  # of several slots
    stored = [chunk_at(second, camera) for second in range(3) for camera in cameras]
    for chunk in stored:
        keys = f"{chunk.camera} {chunk.name}".encode()
        await archive.put(chunk, levels(b"high", b"low", keys))
    bare, never = chunk_at(7, cameras[1]), chunk_at(8, "nowhere")
    await archive.put(bare, levels(b"high", b"low"))
    wanted = [*reversed(stored), bare, *stored[:2], never]
    found = await archive.get_small(wanted, Level.KEYS)
    assert len(found) == len(wanted)
    for chunk, keys_or_error in zip(wanted, found, strict=True):
        if chunk in stored:
            assert keys_or_error == f"{chunk.camera} {chunk.name}".encode()
        else:
            assert isinstance(keys_or_error, ChunkNotFoundError)
            assert (keys_or_error.chunk, keys_or_error.level) == (chunk, Level.KEYS)
    assert await archive.get_small([], Level.KEYS) == []


async def test_the_timeline_is_in_time_order_and_of_one_camera(archive: RedisArchive):
    for second in (5, 1, 3):
        await archive.put(chunk_at(second), levels(b"", b""))
    await archive.put(chunk_at(2, camera="yard"), levels(b"", b""))
    assert await archive.timeline("door") == [chunk_at(s) for s in (1, 3, 5)]


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "expected"),
    [
        (None, None, [0, 10, 20, 30]),
        (5_000, 25_000, [0, 10, 20]),
        (10_000, 20_000, [10]),
        (9_999, 20_001, [0, 10, 20]),
        (None, 10_000, [0]),
        (30_000, None, [30]),
        (40_000, 50_000, []),
    ],
)
async def test_a_window_gives_every_chunk_that_overlaps_it(
    archive: RedisArchive,
    start_ms: int | None,
    end_ms: int | None,
    expected: list[int],
):
    for second in range(0, 40, 10):
        await archive.put(chunk_at(second, length_s=10), levels(b"", b""))
    found = await archive.timeline("door", start_ms, end_ms)
    assert [chunk.start_ms // 1000 for chunk in found] == expected


async def test_a_window_finds_the_longest_chunk_behind_shorter_ones(
    archive: RedisArchive,
):
    longest = ChunkId("door", 1, 1 + LONGEST_CHUNK_MS)
    await archive.put(longest, levels(b"", b""))
    await archive.put(chunk_at(10), levels(b"", b""))
    assert await archive.timeline("door", LONGEST_CHUNK_MS) == [longest]
    with pytest.raises(ValueError, match="longer than"):
        await archive.put(ChunkId("door", 1, 2 + LONGEST_CHUNK_MS), levels(b"", b""))


async def test_forgetting_takes_index_and_blobs_of_all_that_ended(
    archive: RedisArchive, prefix: str
):
    for second in range(300):
        await archive.put(chunk_at(second), levels(b"high", b"low"))
    await archive.put(chunk_at(0, camera="yard"), levels(b"high", b"low"))
    freed = await archive.forget("door", before_ms=299_500)
    assert freed == Freed(num_chunks=299, num_bytes=299 * 7)
    assert await archive.timeline("door") == [chunk_at(299)]
    assert len(await archive.redis.scan(f"{prefix}:{{door}}:*")) == 5
    assert await archive.timeline("yard") == [chunk_at(0, camera="yard")]


async def test_forgetting_takes_the_chunks_of_other_models_too(
    archive: RedisArchive, archive_url: str, prefix: str
):
    async with RedisArchive(archive_url, model="other", prefix=prefix) as other:
        await other.put(chunk_at(1), levels(b"high", b"low"))
        freed = await archive.forget("door", before_ms=HOUR_MS)
        assert freed.num_chunks == 1
        assert await other.timeline("door") == []
    assert await archive.models("door") == []


async def test_chunks_of_another_model_are_kept_and_reported_but_not_read(
    archive: RedisArchive, archive_url: str, prefix: str
):
    async with RedisArchive(archive_url, model="other", prefix=prefix) as other:
        await other.put(chunk_at(1), levels(b"high", b"low"))
        await archive.put(chunk_at(2), levels(b"high", b"low"))
        assert await archive.timeline("door") == [chunk_at(2)]
        with pytest.raises(ChunkNotFoundError):
            await archive.get(chunk_at(1), Level.HIGH)
        assert await archive.models("door") == [MODEL, "other"]
        assert await other.get(chunk_at(1), Level.HIGH) == b"high"


async def test_the_book_follows_what_is_stored_deleted_and_forgotten(
    archive: RedisArchive,
):
    for second in range(4):
        await archive.put(chunk_at(second), levels(b"high", b"low"))
    await archive.put(chunk_at(1), levels(b"higher", b"lower still"))
    await archive.put(chunk_at(4), levels(b"high"))
    await archive.delete(chunk_at(2), Level.LOW)
    await archive.delete(chunk_at(2), Level.LOW)
    await archive.forget("door", before_ms=1000)
    assert await sizes(archive) == {1: (6, 11), 2: (4, 0), 3: (4, 3), 4: (4, 0)}
    freed = await archive.retire_lows([chunk_at(s) for s in (1, 2, 3)])
    assert freed == Freed(num_lows=3, num_bytes=14)
    assert await archive.remove([chunk_at(3)]) == Freed(num_chunks=1, num_bytes=4)
    assert await sizes(archive) == {1: (6, 0), 2: (4, 0), 4: (4, 0)}
    assert await archive.timeline("door") == [chunk_at(s) for s in (1, 2, 4)]
    assert await archive.keeps(chunk_at(1))
    assert not await archive.keeps(chunk_at(3))


async def test_cameras_and_models_are_found_wherever_their_keys_are(
    archive: RedisArchive,
):
    cameras = [f"camera-{number}" for number in range(12)]  # on every node of a cluster
    for camera in cameras:
        await archive.put(chunk_at(1, camera), levels(b"high", b"low"))
        await archive.of_model("other").put(
            chunk_at(1, camera), levels(b"high", b"low")
        )
    assert await archive.cameras() == sorted(cameras)
    assert await archive.models(cameras[3]) == [MODEL, "other"]
    wanted = [(chunk_at(1, camera), Level.LOW) for camera in cameras]
    assert await archive.get_many(wanted) == [b"low"] * 12


async def test_an_archive_over_its_bytes_gives_up_the_oldest_low_kv_first(
    archive: RedisArchive,
):
    cameras = ["door", "yard"]
    for second in range(4):
        for camera in cameras:
            await archive.put(chunk_at(second, camera), levels(b"h" * 10, b"l" * 100))
    done = await retire(archive, cameras, Limits(per_camera=250, total=400))
    assert done.freed == Freed(num_lows=5, num_bytes=500)
    assert await sizes(archive) == {0: (10, 0), 1: (10, 0), 2: (10, 0), 3: (10, 100)}
    found = await archive.get_many([(chunk_at(s), Level.HIGH) for s in range(4)])
    assert found == [b"h" * 10] * 4
    assert await archive.size("door") == 140
    assert await archive.evicted([chunk_at(s) for s in range(4)]) == [
        chunk_at(s) for s in range(3)
    ]
    assert (await retire(archive, cameras, Limits(total=400))).freed == Freed()
    done = await retire(archive, cameras, Limits(total=60))
    assert done.freed == Freed(num_lows=3, num_chunks=3, num_bytes=330)
    assert await archive.timeline("door") == [chunk_at(s) for s in (2, 3)]


async def test_low_kv_alone_has_a_time_to_live(archive_url: str, prefix: str):
    opened = RedisArchive(archive_url, model=MODEL, prefix=prefix, low_ttl_s=0.2)
    async with opened as archive:
        await archive.put(chunk_at(1), levels(b"high", b"low"))

        async def is_gone() -> bool:
            return await archive.evicted([chunk_at(1)]) == [chunk_at(1)]

        await until(is_gone)
        assert await archive.get(chunk_at(1), Level.HIGH) == b"high"
        assert await archive.timeline("door") == [chunk_at(1)]
        [booked] = await strike_evicted(archive, await archive.booked("door"))
        assert booked.low_bytes == 0
        assert await sizes(archive) == {1: (4, 0)}
