"""The whole memory while its archive is away, hangs, is full, or comes back empty."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import torch
from outages import count_keys, frozen, replaying, set_room
from redis.asyncio import Redis
from servers import RedisServer
from stores import compressed, fine, new_store
from waiting import until

from memory import store as store_module
from memory.errors import ArchiveUnavailableError
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive
from memory.spool import Spool
from memory.store import MemoryStore
from memory.watch import Span
from memory.writing import write_chunk

TIMEOUT_S = 0.5
TOKENS = compressed(0).memory.high.num_tokens


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "REPLAY_INTERVAL_S", 0.05)


@pytest.fixture
async def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server that keeps what it has acknowledged."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    return await asyncio.to_thread(start_redis, *options)


@pytest.fixture
async def archive(server: RedisServer) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(server.url, model="m", timeout_s=TIMEOUT_S) as opened:
        yield opened


async def numbers_in(archive: RedisArchive) -> list[int]:
    return [chunk.start_ms // 1000 for chunk in await archive.timeline("door")]


async def is_dry(store: MemoryStore) -> bool:
    return not await asyncio.to_thread(store.spool.pending)


async def test_an_archive_that_hangs_costs_its_time_out_once(
    server: RedisServer, archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    await store.remember(compressed(0))
    async with replaying(store):
        with frozen(server):
            started = time.monotonic()
            stored = [await store.remember(compressed(n)) for n in range(1, 9)]
            reach = await store.reach(["door"], (0, 9000), 1000)
            recalled = await store.recall(fine(0, 8), store.resident.nodes(["door"]))
            assert time.monotonic() - started < 2 * TIMEOUT_S
            assert all(each.is_spooled for each in stored)
            assert store.outage.is_on
            assert len(reach.nodes) == 9
            assert store.watched("door").spans == (Span(0, 9000),)
            assert recalled.degraded == {"archive_unavailable"}
        await until(lambda: not store.outage.is_on)
        await until(lambda: is_dry(store))
        assert not (await store.remember(compressed(9))).is_spooled
    assert await numbers_in(archive) == list(range(10))


async def test_a_full_archive_costs_no_chunk_and_no_detail(
    server: RedisServer, archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path, budget=TOKENS)
    await store.remember(compressed(0))
    await set_room(server, 1)
    async with replaying(store):
        for number in range(1, 5):
            assert (await store.remember(compressed(number))).is_spooled
        reach = await store.reach(["door"], (500, 3500), 1000)
        assert [node.id.start_ms // 1000 for node in reach.nodes] == [0, 1, 2, 3]
        assert reach.is_whole
        recalled = await store.recall(fine(0, 2), reach.nodes)
        assert recalled.degraded == frozenset()
        assert torch.equal(recalled.runs[1].keys, compressed(2).low.keys)
        assert not store.outage.is_on

        await set_room(server, 0)
        await until(lambda: is_dry(store))
    assert await numbers_in(archive) == [0, 1, 2, 3, 4]
    assert await count_keys(server) == 3 + 3 * 5


async def test_a_full_spool_behind_a_full_archive_drops_the_oldest_and_tells(
    server: RedisServer,
    archive: RedisArchive,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await set_room(server, 1)
    first = await new_store(archive, tmp_path / "first")
    stored = await first.remember(compressed(0))
    room = 3 * (stored.high_bytes + stored.low_bytes + 100)
    store = await new_store(archive, tmp_path, spool_bytes=room)
    for number in range(5):
        await store.remember(compressed(number))
    assert store.spool.dropped == 2
    assert "dropped its oldest chunk" in caplog.text
    recalled = await store.recall(fine(0, 4), store.resident.nodes(["door"]))
    assert [reading.level for reading in recalled.readings] == [Level.HIGH, Level.LOW]
    assert recalled.degraded == {"chunk_fallback"}


async def test_an_archive_that_came_back_empty_is_noticed_and_told(
    start_redis: Callable[..., RedisServer],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await asyncio.to_thread(start_redis)
    async with RedisArchive(server.url, model="m", timeout_s=TIMEOUT_S) as archive:
        store = await new_store(archive, tmp_path, budget=2 * TOKENS)
        for number in range(4):
            await store.remember(compressed(number))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await store.remember(compressed(4))
        async with replaying(store):
            await until(lambda: "has lost chunks of door" in caplog.text)
        assert not store.watched("door", None, None).is_whole
        assert store.watched("door", 5000, None).is_whole
        recalled = await store.recall(fine(3, 4), store.resident.nodes(["door"]))
        assert recalled.degraded == {"chunk_fallback"}


async def test_an_archive_that_kept_its_file_has_everything_once(
    server: RedisServer,
    archive: RedisArchive,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = await new_store(archive, tmp_path)
    async with replaying(store):
        for number in range(12):
            await store.remember(compressed(number))
            if number % 4 == 3:
                await asyncio.to_thread(server.kill)
                await store.remember(compressed(number))
                await asyncio.to_thread(server.start)
        await until(lambda: is_dry(store))
        await until(lambda: not store.outage.is_on)
        await store.remember(compressed(12))
    assert await numbers_in(archive) == list(range(13))
    assert await count_keys(server) == 3 + 3 * 13
    assert "has lost chunks" not in caplog.text
    assert store.watched("door", None, None).is_whole


async def test_what_was_forgotten_on_purpose_is_not_missed(
    archive: RedisArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await new_store(archive, tmp_path)
    for camera in ("door", "yard"):
        for number in range(3):
            await store.remember(compressed(number, camera))
    await store.forget("door", 3000)
    await store.forget("yard", 1000)
    await store.remember(compressed(3, "yard"))
    for _ in range(4):
        await store._witnesses.look(archive)
    assert "has lost chunks" not in caplog.text


async def test_a_server_that_only_refuses_to_write_is_still_read(
    server: RedisServer, archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    await store.remember(compressed(0))
    async with Redis.from_url(server.url) as client:
        await client.config_set("min-replicas-to-write", 1)
    assert (await store.remember(compressed(1))).is_spooled
    recalled = await store.recall(fine(0, 1), store.resident.nodes(["door"]))
    assert recalled.degraded == frozenset()


async def test_a_chunk_on_its_way_from_spool_to_archive_is_read(
    server: RedisServer,
    archive: RedisArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is carried over just after the archive was asked for it."""
    store = await new_store(archive, tmp_path)
    await set_room(server, 1)
    await store.remember(compressed(0))
    await set_room(server, 0)
    ask = archive.get_many

    async def ask_too_early(requests: list[object]) -> list[object]:
        found = await ask(requests)
        async with replaying(store):
            await until(lambda: is_dry(store))
        return found

    monkeypatch.setattr(archive, "get_many", ask_too_early)
    recalled = await store.recall(fine(0), store.resident.nodes(["door"]))
    assert recalled.degraded == frozenset()


async def test_a_torn_file_of_a_chunk_that_is_archived_costs_nothing(
    server: RedisServer, archive: RedisArchive, tmp_path: Path
) -> None:
    """The agent was killed after archiving it, before removing its file."""
    store = await new_store(archive, tmp_path)
    await store.remember(compressed(0))
    blobs, _ = write_chunk(compressed(0), store.bilevel, "m")
    await asyncio.to_thread(store.spool.append, compressed(0).memory.id, blobs)
    [file] = (tmp_path / "spool").iterdir()
    await asyncio.to_thread(file.write_bytes, b"torn")
    recalled = await store.recall(fine(0), store.resident.nodes(["door"]))
    assert recalled.degraded == frozenset()
    assert await numbers_in(archive) == [0]
    assert await count_keys(server) == 6


async def test_a_chunk_replayed_twice_is_archived_once(
    server: RedisServer,
    archive: RedisArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its file can't be removed at first; that does not end the task."""
    store = await new_store(archive, tmp_path)
    await set_room(server, 1)
    await store.remember(compressed(0))
    await set_room(server, 0)
    remove, refusals = Spool.remove, []

    def refuse_twice(spool: Spool, chunk: ChunkId) -> None:
        if len(refusals) == 2:
            remove(spool, chunk)
            return
        refusals.append(chunk)
        raise OSError("read-only file system")

    monkeypatch.setattr(Spool, "remove", refuse_twice)
    async with replaying(store):
        await until(lambda: is_dry(store))
    assert len(refusals) == 2
    assert await numbers_in(archive) == [0]
    assert await count_keys(server) == 6


async def test_an_agent_started_in_an_outage_reads_what_waits_in_the_spool(
    server: RedisServer, archive: RedisArchive, tmp_path: Path
) -> None:
    before = await new_store(archive, tmp_path)
    await before.remember(compressed(0))
    await asyncio.to_thread(server.kill)
    await before.remember(compressed(1))

    after = await new_store(archive, tmp_path)
    with pytest.raises(ArchiveUnavailableError):
        await after.rebuild(["door"])
    assert not after.loading.is_done
    assert not after.watched("door").is_whole
    reach = await after.reach(["door"], (None, None), 1000)
    assert [node.id.start_ms for node in reach.nodes] == [1000]
    assert not reach.is_whole

    await asyncio.to_thread(server.start)
    async with replaying(after):
        await until(lambda: is_dry(after))
    assert (await after.rebuild(["door"])).num_nodes == 2
    assert after.loading.is_done
    assert after.watched("door").is_whole
