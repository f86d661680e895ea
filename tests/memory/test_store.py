import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kv_factory import make_chunk
from servers import RedisServer
from stores import BILEVEL, compressed, fine, new_store
from waiting import until

from memory.archive_check import FaultKind, check_chunk
from memory.codec import decode_low
from memory.errors import ChunkNotFoundError, CorruptChunkError
from memory.kv import Level
from memory.recall import Reading
from memory.redis_archive import RedisArchive
from memory.relevance import IndexHeads
from memory.watch import Span
from memory.writing import write_chunk


@pytest.fixture
async def archive(
    redis_server: RedisServer, prefix: str
) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(redis_server.url, model="m", prefix=prefix) as opened:
        yield opened


async def test_a_recalled_chunk_is_the_one_that_was_remembered(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    chunks = [compressed(number) for number in range(3)]
    for chunk in chunks:
        stored = await store.remember(chunk)
        assert not stored.is_spooled
    plan = [
        Reading(chunks[0].memory.id, Level.HIGH, 0.1, False),
        *fine(1),
        Reading(chunks[2].memory.id, Level.HIGH, 0.1, False),
    ]
    recalled = await store.recall(plan, store.resident.nodes(["door"]))
    assert recalled.degraded == frozenset()
    assert recalled.runs[0] is chunks[0].memory.high
    assert torch.equal(recalled.runs[1].keys, chunks[1].low.keys)
    assert torch.equal(recalled.runs[1].values, chunks[1].low.values)
    assert recalled.readings == tuple(plan)


async def test_missing_and_corrupt_low_kv_fall_back_to_high(
    archive: RedisArchive, redis_server: RedisServer, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    for number in range(3):
        await store.remember(compressed(number))
    await archive.delete(compressed(0).memory.id, Level.LOW)
    other = compressed(1).memory.id
    low = bytearray(await archive.get(other, Level.LOW))
    low[-1] ^= 1
    await archive.put(other, {Level.LOW: bytes(low)})

    recalled = await store.recall(fine(0, 1, 2), store.resident.nodes(["door"]))
    assert recalled.degraded == {"chunk_fallback"}
    levels = [reading.level for reading in recalled.readings]
    assert levels == [Level.HIGH, Level.HIGH, Level.LOW]
    assert store.fallbacks == 2
    with pytest.raises(LookupError):
        await archive.get(other, Level.LOW)  # a corrupt blob is deleted


async def test_while_the_archive_is_away_chunks_wait_and_answers_are_coarse(
    start_redis: Callable[..., RedisServer], prefix: str, tmp_path: Path
) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    async with RedisArchive(
        server.url, model="m", prefix=prefix, timeout_s=1.0
    ) as archive:
        store = await new_store(archive, tmp_path)
        await store.remember(compressed(0))
        await asyncio.to_thread(server.kill)
        stored = await store.remember(compressed(1))
        assert stored.is_spooled

        recalled = await store.recall(fine(0, 1), store.resident.nodes(["door"]))
        assert recalled.degraded == {"archive_unavailable"}
        levels = [reading.level for reading in recalled.readings]
        assert levels == [Level.HIGH, Level.LOW]  # the second waits in the spool

        await asyncio.to_thread(server.start)
        replay = asyncio.create_task(store.replay_spool())

        async def is_replayed() -> bool:
            return not await asyncio.to_thread(store.spool.pending)

        await until(is_replayed)
        assert len(await archive.timeline("door")) == 2
        replay.cancel()
        chunk = compressed(1)
        blob = await archive.get(chunk.memory.id, Level.LOW)
        kept = decode_low(blob, chunk.memory.id, "m")
        assert torch.equal(kept.keys, chunk.low.keys)


async def test_after_a_restart_all_chunks_are_resident_and_found_again(
    archive: RedisArchive, tmp_path: Path
) -> None:
    before = await new_store(archive, tmp_path)
    for number in range(70):
        await before.remember(compressed(number))
    tokens = compressed(0).memory.high.num_tokens

    after = await new_store(archive, tmp_path, budget=70 * tokens)
    loaded = await after.rebuild(["door"])
    assert (loaded.num_nodes, loaded.num_keys, loaded.share) == (70, 70, 1.0)
    resident = after.resident.nodes(["door"])
    assert [node.id.start_ms // 1000 for node in resident] == list(range(70))
    same = before.resident.nodes(["door"])[-1]
    assert torch.equal(resident[-1].high.keys, same.high.keys)
    queries = torch.randn(2, 3, 8)
    scores = [
        (await s.relevance(queries, ["door"])).of_nodes(resident)
        for s in (before, after)
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


async def test_spooled_chunks_are_rebuilt_too(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    chunk = compressed(4)
    blobs, _ = write_chunk(chunk, BILEVEL, "m")
    await asyncio.to_thread(store.spool.append, chunk.memory.id, blobs)
    assert (await store.rebuild(["door"])).num_nodes == 1
    recalled = await store.recall(fine(4), store.resident.nodes(["door"]))
    assert torch.equal(recalled.runs[0].keys, chunk.low.keys)


async def test_another_models_chunks_are_kept_but_not_read(
    archive: RedisArchive, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    await (await new_store(archive, tmp_path)).remember(compressed(0))
    async with RedisArchive(redis_server.url, model="n", prefix=prefix) as other:
        store = await new_store(other, tmp_path / "n")
        assert (await store.rebuild(["door"])).total == 0
        assert await other.models("door") == ["m"]
    assert len(await archive.timeline("door")) == 1


async def test_after_a_calibration_old_chunks_are_read_but_not_judged(
    archive: RedisArchive, tmp_path: Path
) -> None:
    await (await new_store(archive, tmp_path)).remember(compressed(0))
    after = await new_store(archive, tmp_path)
    after.bilevel = replace(
        BILEVEL, heads=IndexHeads.of([(1, 0), (2, 1)], queries_per_kv=1)
    )
    assert (await after.rebuild(["door"])).num_nodes == 1
    await after.remember(
        after.bilevel.compress_chunk(compressed(1).memory.id, make_chunk(seed=1))
    )
    nodes = after.resident.nodes(["door"])
    assert torch.equal(nodes[0].high.keys, compressed(0).memory.high.keys)
    relevance = await after.relevance(torch.randn(2, 3, 8), ["door"])
    assert relevance.of_nodes(nodes) == [0.0, 1.0]


async def test_forgetting_clears_every_tier(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    for number in range(4):
        await store.remember(compressed(number))
    old = compressed(0)
    blobs, _ = write_chunk(old, BILEVEL, "m")
    await asyncio.to_thread(store.spool.append, old.memory.id, blobs)

    assert (await store.forget("door", 2000)).num_chunks == 2
    assert len(store.resident.nodes(["door"])) == 2
    assert await asyncio.to_thread(store.spool.pending) == []
    assert store.watched("door").spans == (Span(2000, 4000),)
    relevance = await store.relevance(torch.randn(2, 3, 8), ["door"])
    assert {chunk.start_ms for chunk in relevance.best(9)} == {2000, 3000}


async def test_what_was_watched_includes_evicted_chunks(
    archive: RedisArchive, tmp_path: Path
) -> None:
    tokens = compressed(0).memory.high.num_tokens
    store = await new_store(archive, tmp_path, budget=2 * tokens)
    for number in (0, 1, 2, 7, 8):
        await store.remember(compressed(number))
    assert len(store.resident.nodes(["door"])) == 2
    assert store.resident.num_evicted == 3  # their minute is not over
    seen = store.watched("door", 1500, 7500)
    assert seen.is_whole
    assert seen.spans == (Span(0, 3000), Span(7000, 9000))


async def test_evicted_chunks_are_read_when_their_time_is_asked_about(
    archive: RedisArchive, tmp_path: Path
) -> None:
    tokens = compressed(0).memory.high.num_tokens
    store = await new_store(archive, tmp_path, budget=2 * tokens)
    for number in range(6):
        await store.remember(compressed(number))
    reach = await store.reach(["door"], (1000, 5000), max_tokens=2 * tokens)
    assert reach.is_whole
    assert [node.id.start_ms for node in reach.nodes] == [3000, 4000]
    oldest = reach.nodes[0]
    assert torch.equal(oldest.high.keys, compressed(3).memory.high.keys)
    opened = await store.descend(reach.nodes, [compressed(1).memory.id])
    assert [node.id.start_ms for node in opened.nodes] == [1000, 3000, 4000]
    recalled = await store.recall(fine(1), opened.nodes)
    assert torch.equal(recalled.runs[0].keys, compressed(1).low.keys)


async def test_a_rebuild_shares_the_budget_between_cameras(
    archive: RedisArchive, tmp_path: Path
) -> None:
    before = await new_store(archive, tmp_path)
    for number in range(6):
        await before.remember(compressed(number))
        await before.remember(compressed(number, "yard"))
    after = await new_store(
        archive, tmp_path, budget=6 * compressed(0).memory.high.num_tokens
    )
    await after.rebuild(["door", "yard"])
    door, yard = (after.resident.nodes([camera]) for camera in ("door", "yard"))
    assert door[-1].id.start_ms == yard[-1].id.start_ms == 5000
    tokens = [sum(n.high.num_tokens for n in nodes) for nodes in (door, yard)]
    assert tokens[0] == tokens[1] <= after.resident.num_tokens / 2


async def test_an_archive_that_is_away_is_told_apart_from_nothing(
    start_redis: Callable[..., RedisServer], prefix: str, tmp_path: Path
) -> None:
    server = start_redis()
    async with RedisArchive(
        server.url, model="m", prefix=prefix, timeout_s=1.0
    ) as archive:
        tokens = compressed(0).memory.high.num_tokens
        store = await new_store(archive, tmp_path, budget=tokens)
        for number in range(3):
            await store.remember(compressed(number))
        before = await store.reach(["door"], (0, 3000), 1000)
        await asyncio.to_thread(server.kill)
        after = await store.reach(["door"], (0, 3000), 1000)
        assert (len(before.nodes), before.is_whole) == (3, True)
        assert (len(after.nodes), after.is_whole) == (1, False)
        assert store.watched("door", None, None).spans == (Span(0, 3000),)


async def test_a_picture_comes_back_and_goes_with_the_l_kv(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    chunk = compressed(0)
    stored = await store.remember(chunk, b"\xff\xd8 a JPEG")
    bare = await store.remember(compressed(1))
    assert stored.low_bytes > bare.low_bytes
    id = chunk.memory.id
    assert await store.reader.picture(id) == b"\xff\xd8 a JPEG"
    with pytest.raises(ChunkNotFoundError):
        await store.reader.picture(compressed(1).memory.id)
    assert await archive.size("door") == sum(
        each.high_bytes + each.low_bytes for each in (stored, bare)
    )
    assert (await archive.retire_lows([id])).num_bytes == stored.low_bytes
    with pytest.raises(ChunkNotFoundError):
        await store.reader.picture(id)
    assert await check_chunk(archive, id) == []


async def test_a_damaged_picture_is_named_and_it_alone_deleted(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    await store.remember(compressed(0), b"\xff\xd8 a JPEG")
    id = compressed(0).memory.id
    blob = bytearray(await archive.get(id, Level.PICTURE))
    blob[-64] ^= 1
    async with archive.redis.turn() as client:
        await client.set(archive.keys.blob(id, Level.PICTURE, "m"), bytes(blob))
    with pytest.raises(CorruptChunkError):
        await store.reader.picture(id)
    [fault] = await check_chunk(archive, id, repair=True)
    assert (fault.kind, fault.level) == (FaultKind.CORRUPT, Level.PICTURE)
    assert await check_chunk(archive, id) == []
    assert [low.num_tokens for low in await store.reader.lows([id])]


async def test_a_picture_waits_in_the_spool_as_its_chunk_does(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await new_store(archive, tmp_path)
    id = compressed(0).memory.id
    blobs, _ = write_chunk(compressed(0), BILEVEL, "m", b"\xff\xd8 a JPEG")
    await asyncio.to_thread(store.spool.append, id, blobs)
    assert await store.reader.picture(id) == b"\xff\xd8 a JPEG"
