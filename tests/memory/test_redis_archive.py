"""What the archive keeps, on redis and on valkey."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from archived import MODEL, chunk_at, until_reports
from redis.asyncio import Redis

from memory.embedded_valkey import EmbeddedValkey
from memory.errors import ArchiveUnavailableError, ChunkNotFoundError
from memory.kv import ChunkId, Level
from memory.redis_archive import LONGEST_CHUNK_MS, RedisArchive

HOUR_MS = 3_600_000


@pytest.fixture(params=["redis", "valkey"])
async def url(
    request: pytest.FixtureRequest, short_folder: Callable[[], Path]
) -> AsyncIterator[str]:
    if request.param == "redis":
        yield request.getfixturevalue("redis_server").url
        return
    async with EmbeddedValkey(short_folder()) as valkey:
        yield valkey.url


@pytest.fixture
async def archive(url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(url, model=MODEL, prefix=prefix) as archive:
        yield archive


@pytest.fixture
async def server(url: str) -> AsyncIterator[Redis]:
    """Look behind the archive's back."""
    async with Redis.from_url(url, decode_responses=True) as client:
        yield client


async def test_both_levels_come_back(archive: RedisArchive):
    await archive.put(chunk_at(1), b"high", b"low")
    assert await archive.get(chunk_at(1), Level.HIGH) == b"high"
    assert await archive.get(chunk_at(1), Level.LOW) == b"low"


async def test_keys_are_as_documented(
    archive: RedisArchive, server: Redis, prefix: str
):
    chunk = chunk_at(1)
    await archive.put(chunk, b"high", b"low")
    camera = f"{prefix}:{{door}}"
    assert set(await server.keys(f"{prefix}:*")) == {
        f"{camera}:models",
        f"{camera}:{MODEL}:timeline",
        f"{camera}:{MODEL}:h:{chunk.name}",
        f"{camera}:{MODEL}:l:{chunk.name}",
    }


async def test_storing_again_changes_nothing(
    archive: RedisArchive, server: Redis, prefix: str
):
    for _ in range(2):
        await archive.put(chunk_at(1), b"high", b"low")
    assert await archive.timeline("door") == [chunk_at(1)]
    assert len(await server.keys(f"{prefix}:*")) == 4


async def test_the_timeline_entry_is_written_last_in_one_transaction(
    archive: RedisArchive, server: Redis, prefix: str
):
    async with server.monitor() as monitor:
        await archive.put(chunk_at(1), b"high", b"low")
        seen: list[str] = []
        while "EXEC" not in seen:
            command = await monitor.next_command()
            seen.append(command["command"].split()[0])
    transaction = seen[seen.index("MULTI") :]
    assert transaction == ["MULTI", "SET", "SET", "SADD", "ZADD", "EXEC"]


async def test_a_chunk_never_stored_is_not_found(archive: RedisArchive):
    with pytest.raises(ChunkNotFoundError) as caught:
        await archive.get(chunk_at(1), Level.LOW)
    assert (caught.value.chunk, caught.value.level) == (chunk_at(1), Level.LOW)


async def test_a_chunk_in_the_timeline_without_its_blob_is_not_found(
    archive: RedisArchive,
):
    await archive.put(chunk_at(1), b"high", b"low")
    await archive.delete(chunk_at(1), Level.LOW)
    assert await archive.timeline("door") == [chunk_at(1)]
    assert await archive.get(chunk_at(1), Level.HIGH) == b"high"
    with pytest.raises(ChunkNotFoundError):
        await archive.get(chunk_at(1), Level.LOW)


async def test_many_come_back_in_their_places_with_errors_in_theirs(
    archive: RedisArchive,
):
    for second in range(0, 20, 2):
        await archive.put(chunk_at(second), b"high", b"low %d" % second)
    found = await archive.get_many([(chunk_at(s), Level.LOW) for s in range(20)])
    assert found[::2] == [b"low %d" % s for s in range(0, 20, 2)]
    assert all(isinstance(error, ChunkNotFoundError) for error in found[1::2])


async def test_the_timeline_is_in_time_order_and_of_one_camera(archive: RedisArchive):
    for second in (5, 1, 3):
        await archive.put(chunk_at(second), b"", b"")
    await archive.put(chunk_at(2, camera="yard"), b"", b"")
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
        await archive.put(chunk_at(second, length_s=10), b"", b"")
    found = await archive.timeline("door", start_ms, end_ms)
    assert [chunk.start_ms // 1000 for chunk in found] == expected


async def test_a_window_finds_the_longest_chunk_behind_shorter_ones(
    archive: RedisArchive,
):
    longest = ChunkId("door", 1, 1 + LONGEST_CHUNK_MS)
    await archive.put(longest, b"", b"")
    await archive.put(chunk_at(10), b"", b"")
    assert await archive.timeline("door", LONGEST_CHUNK_MS) == [longest]
    with pytest.raises(ValueError, match="longer than"):
        await archive.put(ChunkId("door", 1, 2 + LONGEST_CHUNK_MS), b"", b"")


async def test_forgetting_takes_index_and_blobs_of_all_that_ended(
    archive: RedisArchive, server: Redis, prefix: str
):
    for second in range(300):
        await archive.put(chunk_at(second), b"high", b"low")
    await archive.put(chunk_at(0, camera="yard"), b"high", b"low")
    assert await archive.forget("door", before_ms=299_500) == 299
    assert await archive.timeline("door") == [chunk_at(299)]
    assert len(await server.keys(f"{prefix}:{{door}}:*")) == 4
    assert await archive.timeline("yard") == [chunk_at(0, camera="yard")]


async def test_forgetting_takes_the_chunks_of_other_models_too(
    archive: RedisArchive, url: str, prefix: str
):
    async with RedisArchive(url, model="other", prefix=prefix) as other:
        await other.put(chunk_at(1), b"high", b"low")
        assert await archive.forget("door", before_ms=HOUR_MS) == 1
        assert await other.timeline("door") == []
    assert await archive.other_models("door") == []


async def test_chunks_of_another_model_are_kept_and_reported_but_not_read(
    archive: RedisArchive, url: str, prefix: str
):
    async with RedisArchive(url, model="other", prefix=prefix) as other:
        await other.put(chunk_at(1), b"high", b"low")
        await archive.put(chunk_at(2), b"high", b"low")
        assert await archive.timeline("door") == [chunk_at(2)]
        with pytest.raises(ChunkNotFoundError):
            await archive.get(chunk_at(1), Level.HIGH)
        assert await archive.other_models("door") == ["other"]
        assert await other.get(chunk_at(1), Level.HIGH) == b"high"


async def test_cancelled_operations_leave_no_reply_to_the_next_one(
    archive: RedisArchive,
):
    values = {chunk_at(s): b"%06d" % s * 50_000 for s in range(8)}
    for chunk, value in values.items():
        await archive.put(chunk, value, value[::-1])

    async def read(chunk: ChunkId) -> None:
        assert await archive.get(chunk, Level.HIGH) == values[chunk]

    async def store(chunk: ChunkId) -> None:
        await archive.put(chunk, values[chunk], values[chunk][::-1])

    for turn in range(300):
        work: Any = read if turn % 3 else store
        task = asyncio.create_task(work(chunk_at(turn % 8)))
        for _ in range(turn % 25):  # a different point of the exchange each time
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    requests = [(chunk, level) for chunk in values for level in Level]
    found = await archive.get_many(requests)
    assert found == [
        values[chunk] if level is Level.HIGH else values[chunk][::-1]
        for chunk, level in requests
    ]


async def test_an_unknown_scheme_is_refused():
    archive = RedisArchive("http://localhost", model=MODEL)
    with pytest.raises(ValueError, match="scheme"):
        await archive.__aenter__()


async def test_a_cluster_is_used_the_same_way(
    start_redis: Callable[..., Any], free_port: Callable[[], int]
):
    """One node that holds all slots: redirects between nodes are not tried here."""
    port = free_port()
    redis = start_redis(
        *("--port", str(port), "--bind", "127.0.0.1"),
        *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
    )
    async with Redis.from_url(redis.url) as client:
        await client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        await until_reports(client.cluster, "INFO", cluster_state="ok")
    url = f"redis://127.0.0.1:{port},127.0.0.1:{free_port()}"
    async with RedisArchive(url, model=MODEL) as archive:
        for camera in ("door", "yard"):
            await archive.put(chunk_at(1, camera), b"high", b"low")
            assert await archive.timeline(camera) == [chunk_at(1, camera)]
        wanted = [(chunk_at(1, camera), Level.LOW) for camera in ("door", "yard")]
        assert await archive.get_many(wanted) == [b"low", b"low"]
        assert await archive.other_models("door") == []
        assert await archive.forget("door", before_ms=HOUR_MS) == 1
        redis.kill()
        with pytest.raises(ArchiveUnavailableError):
            await archive.put(chunk_at(2), b"high", b"low")
