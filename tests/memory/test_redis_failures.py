"""An archive whose server is away, hangs, is full or refuses."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archived import MODEL, chunk_at, levels, until_reports
from redis.asyncio import Redis

from memory.archive_upkeep import retire, strike_evicted
from memory.errors import ArchiveFullError, ArchiveUnavailableError
from memory.kv import Level
from memory.redis_archive import RedisArchive
from memory.retention import Limits

HOUR_S = 3600.0
VOLATILE = ("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl")


async def test_an_archive_can_be_entered_before_its_server_is_there(tmp_path: Path):
    url = f"unix://{tmp_path}/none"
    async with RedisArchive(url, model=MODEL, timeout_s=1.0) as archive:
        with pytest.raises(ArchiveUnavailableError):
            await archive.ping()


async def test_a_killed_server_is_unavailable_in_time_and_back_after_its_restart(
    start_redis: Callable[..., Any],
):
    redis = start_redis("--appendonly", "yes", "--appendfsync", "always")
    async with RedisArchive(redis.url, model=MODEL, timeout_s=2.0) as archive:
        await archive.put(chunk_at(1), levels(b"high", b"low"))
        redis.kill()
        started = time.monotonic()
        with pytest.raises(ArchiveUnavailableError):
            await archive.get(chunk_at(1), Level.LOW)
        with pytest.raises(ArchiveUnavailableError):
            await archive.put(chunk_at(2), levels(b"high", b"low"))
        [found] = await archive.get_many([(chunk_at(1), Level.LOW)])
        assert isinstance(found, ArchiveUnavailableError)
        assert time.monotonic() - started < 3 * 2.0 + 1.0

        redis.start()
        assert await archive.get(chunk_at(1), Level.LOW) == b"low"
        await archive.put(chunk_at(2), levels(b"high", b"low"))
        assert await archive.timeline("door") == [chunk_at(1), chunk_at(2)]


async def test_index_keys_of_an_archive_that_is_away_are_unavailable_each(
    tmp_path: Path,
):
    url = f"unix://{tmp_path}/none"
    async with RedisArchive(url, model=MODEL, timeout_s=1.0) as archive:
        wanted = [chunk_at(1), chunk_at(2, "yard"), chunk_at(3)]
        found = await archive.get_small(wanted, Level.KEYS)
    assert [type(each) for each in found] == [ArchiveUnavailableError] * 3


async def test_a_server_that_hangs_is_unavailable_in_time(
    start_redis: Callable[..., Any],
):
    redis = start_redis()
    async with RedisArchive(redis.url, model=MODEL, timeout_s=0.3) as archive:
        await archive.put(chunk_at(1), levels(b"high", b"low"))
        os.kill(redis.pid, signal.SIGSTOP)
        started = time.monotonic()
        found = await archive.get_many([(chunk_at(1), Level.LOW)] * 20)
        assert {type(each) for each in found} == {ArchiveUnavailableError}
        assert time.monotonic() - started < 1.0
        os.kill(redis.pid, signal.SIGCONT)
        assert await archive.get(chunk_at(1), Level.LOW) == b"low"


async def test_a_full_server_refuses_the_whole_chunk(start_redis: Callable[..., Any]):
    redis = start_redis("--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
    high, low = b"h" * 100_000, b"l" * 900_000
    async with (
        RedisArchive(redis.url, model=MODEL) as archive,
        Redis.from_url(redis.url) as client,
    ):
        stored = refused = 0
        while refused < 3:  # near its bound a server refuses, and then takes one more
            try:
                await archive.put(chunk_at(stored), levels(high, low))
            except ArchiveFullError:
                refused += 1
            else:
                stored += 1
            assert stored < 50
        assert len(await archive.timeline("door")) == stored
        assert await client.dbsize() == 3 + 2 * stored

        await archive.delete(chunk_at(0), Level.LOW)
        await archive.put(chunk_at(stored), levels(b"h", b"l"))
        assert await archive.get(chunk_at(stored), Level.LOW) == b"l"


@pytest.mark.parametrize("policy", ["noeviction", *VOLATILE])
async def test_a_server_with_little_memory_takes_the_newest_and_keeps_all_high_kv(
    start_redis: Callable[..., Any], policy: str
):
    """Whatever the policy: what makes room is L-KV, and the book can be put right."""
    redis = start_redis(
        *("--maxmemory", "8mb", "--maxmemory-policy", policy),
        *("--maxmemory-samples", "64"),  # all keys: else the oldest of 5 by chance goes
    )
    opened = RedisArchive(redis.url, model=MODEL, low_ttl_s=HOUR_S)
    async with opened as archive, Redis.from_url(redis.url) as client:
        stored = []
        for second in range(24):
            chunk, low = chunk_at(second), b"%02d" % second * 350_000
            try:
                await archive.put(chunk, levels(b"h%02d" % second * 10_000, low))
            except ArchiveFullError:
                assert policy == "noeviction"
                assert chunk not in await archive.timeline("door")
                await retire(archive, ["door"], Limits(total=5_000_000))
                await archive.put(chunk, levels(b"h%02d" % second * 10_000, low))
            stored.append(chunk)
        await client.config_set("maxmemory", 0)  # reading takes memory, too
        assert await archive.timeline("door") == stored
        for second, chunk in enumerate(stored):
            blob = await archive.get(chunk, Level.HIGH)
            assert blob == b"h%02d" % second * 10_000
        gone = await archive.evicted(stored)
        assert 12 < len(gone) < 24
        assert stored[-1] not in gone
        if policy in ("noeviction", "volatile-ttl"):
            assert gone == stored[: len(gone)]  # the oldest first

        await strike_evicted(archive, await archive.booked("door"))
        booked = await archive.booked("door")
        assert [b.chunk for b in booked if not b.low_bytes] == gone
        there = sum(
            [await client.strlen(key) async for key in client.scan_iter("*:?:*")]
        )
        assert sum(b.num_bytes for b in booked) == there


async def test_a_server_that_can_evict_nothing_more_refuses_the_whole_chunk(
    start_redis: Callable[..., Any],
):
    redis = start_redis("--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru")
    async with RedisArchive(redis.url, model=MODEL, low_ttl_s=HOUR_S) as archive:
        stored = []
        with contextlib.suppress(ArchiveFullError):
            for second in range(50):
                await archive.put(
                    chunk_at(second), levels(b"h" * 300_000, b"l" * 300_000)
                )
                stored.append(chunk_at(second))
        assert 5 < len(stored) < 15
        assert await archive.timeline("door") == stored
        highs = await archive.get_many([(chunk, Level.HIGH) for chunk in stored])
        assert highs == [b"h" * 300_000] * len(stored)


async def test_a_refusal_of_a_large_blob_does_not_hold_up_the_loop(
    start_redis: Callable[..., Any],
):
    redis = start_redis("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    async with RedisArchive(redis.url, model=MODEL) as archive:
        started = time.monotonic()
        with pytest.raises(ArchiveFullError):
            await archive.put(chunk_at(1), levels(b"\xff" * 20_000_000, b"low"))
        assert time.monotonic() - started < 1.5


async def test_a_server_that_cannot_write_its_file_counts_as_full(
    start_redis: Callable[..., Any],
):
    """A failed background save makes the refusal that a full disk makes."""
    redis = start_redis("--save", "3600 1", "--rdbcompression", "no")
    async with (
        RedisArchive(redis.url, model=MODEL) as archive,
        Redis.from_url(redis.url) as client,
    ):
        await client.ping()  # it listens before it has looked for the file
        (redis.folder / "dump.rdb").mkdir()
        await client.bgsave()
        await until_reports(client.info, "persistence", rdb_last_bgsave_status="err")
        with pytest.raises(ArchiveFullError, match="disk"):
            await archive.put(chunk_at(1), levels(b"high", b"low"))
        assert await client.dbsize() == 0


async def test_a_refusal_that_is_no_lack_of_room_is_unavailable(
    start_redis: Callable[..., Any],
):
    redis = start_redis("--requirepass", "secret")
    async with RedisArchive(redis.url, model=MODEL) as archive:
        with pytest.raises(ArchiveUnavailableError) as caught:
            await archive.put(chunk_at(1), levels(b"high", b"low"))
    assert "secret" not in str(caught.value)
