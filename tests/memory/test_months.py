"""A long memory: within its budget, opened down to any chunk, restarted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from kv_factory import make_chunk
from outages import replaying
from servers import RedisServer
from stores import BILEVEL, new_store
from waiting import until

from memory.compression.bilevel import CompressedChunk
from memory.errors import ArchiveFullError
from memory.kv import ChunkId, Level, Node, Tier
from memory.recall import Candidate, RecallLimits, plan_recall
from memory.redis_archive import RedisArchive
from memory.store import MemoryStore

CHUNK_MS = 10_000
COUNT = 800  # two hours, and some
BUDGET = 400


def id_at(number: int) -> ChunkId:
    return ChunkId("door", number * CHUNK_MS, (number + 1) * CHUNK_MS)


def chunk_at(number: int) -> CompressedChunk:
    return BILEVEL.compress_chunk(id_at(number), make_chunk(seed=number))


@pytest.fixture
async def archive(
    redis_server: RedisServer, prefix: str
) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(redis_server.url, model="m", prefix=prefix) as opened:
        yield opened


async def filled(
    archive: RedisArchive, folder: Path, count: int = COUNT, budget: int = BUDGET
) -> MemoryStore:
    store = await new_store(archive, folder, budget=budget, newest=1)
    for number in range(count):
        await store.remember(chunk_at(number))
        assert store.resident.num_tokens <= budget
    return store


def tokens(nodes: Sequence[Node]) -> int:
    return sum(node.high.num_tokens for node in nodes)


async def test_resident_tokens_stay_under_the_budget_and_all_time_is_stood_for(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    nodes = store.resident.nodes(["door"])
    tiers = [node.id.tier for node in nodes]
    assert tiers == sorted(tiers, reverse=True)
    assert set(tiers) == {Tier.HOUR, Tier.MINUTE, Tier.CHUNK}
    assert (nodes[0].id.start_ms, nodes[-1].id) == (0, id_at(COUNT - 1))
    assert all(a.id.end_ms == b.id.start_ms for a, b in pairwise(nodes))
    assert store.resident.num_evicted == 0
    assert tokens(nodes) == store.resident.num_tokens
    assert len(await archive.timeline("door")) == COUNT
    made = Counter(node.tier for node in await archive.nodes("door"))
    assert made.total() == store.consolidator.num_made
    assert made[Tier.HOUR] == 1


async def test_a_budget_too_small_for_an_hour_of_minutes_holds_all_the_same(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path, 400, 60)
    nodes = store.resident.nodes(["door"])
    assert (nodes[0].id.start_ms, nodes[-1].id) == (0, id_at(399))
    assert all(a.id.end_ms == b.id.start_ms for a, b in pairwise(nodes))
    assert store.resident.num_evicted == 0


async def test_any_old_chunk_is_opened_and_the_rest_stays_coarse(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    reach = await store.reach(["door"], (None, None), 10_000)
    wanted = [id_at(7), id_at(400), id_at(COUNT - 1)]
    opened = await store.descend(reach.nodes, wanted)
    assert opened.is_whole
    found = {node.id: node for node in opened.nodes}
    for chunk in wanted:
        expected = chunk_at(chunk.start_ms // CHUNK_MS).memory.high
        assert torch.equal(found[chunk].high.keys, expected.keys)
    starts = [node.id.start_ms for node in opened.nodes]
    assert starts == sorted(starts)
    assert tokens(opened.nodes) < tokens(reach.nodes) + 100
    fresh = [n for n in opened.nodes if n.id.is_chunk and n not in reach.nodes]
    assert [node.id for node in fresh] == wanted[:2]


async def test_the_chunks_a_question_means_are_read_as_l_kv_at_any_age(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    keys = [chunk_at(number).memory.index_keys for number in range(300)]  # (I, N, D)
    norms = torch.stack([k.norm(dim=-1).sum(dim=0) for k in keys])  # (300, N)
    number, key = divmod(int(norms.argmax()), norms.shape[1])
    meant, queries = id_at(number), 2 * keys[number][:, key : key + 1]
    relevance = await store.relevance(queries, ["door"])
    assert relevance.best(1) == [meant]
    reach = await store.reach(["door"], (None, None), 10_000)
    opened = await store.descend(reach.nodes, relevance.best(1))
    scores = relevance.of_nodes(opened.nodes)
    candidates = [
        Candidate(node.id, node.high.num_tokens, node.low_tokens, score)
        for node, score in zip(opened.nodes, scores, strict=True)
    ]
    plan = plan_recall(candidates, RecallLimits(1, 0, 10_000))
    [evidence] = [reading for reading in plan if reading.is_evidence]
    assert (evidence.chunk, evidence.level) == (meant, Level.LOW)
    recalled = await store.recall(plan, opened.nodes)
    assert recalled.degraded == frozenset()
    run = recalled.runs[recalled.readings.index(evidence)]
    assert torch.equal(run.keys, chunk_at(number).low.keys)
    assert len(plan) == len(opened.nodes)


async def test_a_time_that_is_asked_about_is_read_as_finely_as_fits(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    times = (1_005_000, 1_400_000)
    whole = await store.reach(["door"], times, 10_000)
    assert [node.id for node in whole.nodes] == [id_at(n) for n in range(100, 140)]
    some = await store.reach(["door"], times, tokens(whole.nodes) - 1)
    assert tokens(some.nodes) < tokens(whole.nodes)
    chunks = [node.id for node in some.nodes if node.id.is_chunk]
    assert chunks[-1] == id_at(139)  # the newest get it first
    assert id_at(100) not in chunks
    covered = [
        (node.id.start_ms, node.id.end_ms) for node in some.nodes if node.sections
    ]
    assert all(start >= 1_000_000 for start, _ in covered)
    times = (1_005_000, 3_400_000)
    [node] = (await store.reach(["door"], times, 1)).nodes
    assert node.id.tier is Tier.HOUR
    assert all(section.child.overlaps(*times) for section in node.sections)


async def test_a_restart_makes_the_same_nodes_resident_and_reads_no_l_kv(
    archive: RedisArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await filled(archive, tmp_path)
    after = await new_store(archive, tmp_path, budget=BUDGET)
    asked: Counter[Level] = Counter()
    ask = archive.get_small

    async def count(chunks: Sequence[ChunkId], level: Level) -> list[object]:
        asked.update({level: len(chunks)})
        return await ask(chunks, level)

    monkeypatch.setattr(archive, "get_small", count)
    monkeypatch.setattr(archive, "get_many", None)  # L-KV
    loaded = await after.rebuild(["door"])
    same = before.resident.nodes(["door"])
    assert [node.id for node in after.resident.nodes(["door"])] == [n.id for n in same]
    assert asked == {Level.HIGH: len(same), Level.KEYS: COUNT}
    assert (loaded.num_nodes, loaded.num_keys) == (len(same), COUNT)
    assert len(after.index) == COUNT
    assert after.watched("door").spans == before.watched("door").spans
    await after.remember(chunk_at(COUNT))
    assert after.resident.num_tokens <= BUDGET


async def test_a_smaller_budget_after_a_restart_makes_coarser_nodes(
    archive: RedisArchive, tmp_path: Path
) -> None:
    await filled(archive, tmp_path)
    after = await new_store(archive, tmp_path, budget=BUDGET // 2)
    loaded = await after.rebuild(["door"])
    assert loaded.num_left_out == 0
    assert after.resident.num_tokens <= BUDGET // 2
    nodes = after.resident.nodes(["door"])
    assert (nodes[0].id.start_ms, nodes[-1].id.end_ms) == (0, COUNT * CHUNK_MS)


async def test_questions_are_answered_from_the_newest_while_the_rest_is_loading(
    archive: RedisArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(archive, tmp_path)
    after = await new_store(archive, tmp_path, budget=BUDGET)
    ask, is_waiting, goes_on = archive.get_small, asyncio.Event(), asyncio.Event()

    async def stop_after_the_first(
        chunks: Sequence[ChunkId], level: Level
    ) -> list[object]:
        if len(after.index):
            is_waiting.set()
            await goes_on.wait()
        return await ask(chunks, level)

    monkeypatch.setattr(archive, "get_small", stop_after_the_first)
    loading = asyncio.create_task(after.rebuild(["door"]))
    async with asyncio.timeout(20):
        await is_waiting.wait()
    assert 0 < after.loading.share < 1
    relevance = await after.relevance(torch.randn(2, 3, 8), ["door"])
    known = {chunk.start_ms // CHUNK_MS for chunk in relevance.best(COUNT)}
    assert known == set(range(COUNT - len(known), COUNT))
    await after.remember(chunk_at(COUNT))
    goes_on.set()
    await loading
    assert after.loading.share == 1.0
    assert len(after.index) == COUNT + 1


async def test_a_lost_node_costs_no_chunk_and_a_lost_chunk_stays_what_its_node_says(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    [minute] = [
        node
        for node in await archive.nodes("door")
        if node.tier is Tier.MINUTE and node.start_ms == 60_000
    ]
    await archive.remove([minute])
    reach = await store.reach(["door"], (None, None), 10_000)
    await archive.delete(id_at(13), Level.HIGH)
    opened = await store.descend(reach.nodes, [id_at(7), id_at(13)])
    found = {node.id for node in opened.nodes}
    assert id_at(7) in found
    assert id_at(13) not in found
    assert opened.is_whole


async def test_with_the_archive_away_nodes_are_read_as_they_are_and_kept_later(
    start_redis: Callable[..., RedisServer], prefix: str, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(start_redis, "--appendonly", "yes")
    async with RedisArchive(
        server.url, model="m", prefix=prefix, timeout_s=0.5
    ) as archive:
        store = await filled(archive, tmp_path, 100, 100)
        made = len(await archive.nodes("door"))
        await asyncio.to_thread(server.kill)
        for number in range(100, 130):
            await store.remember(chunk_at(number))
        assert store.resident.num_tokens <= 100
        reach = await store.reach(["door"], (None, None), 10_000)
        opened = await store.descend(reach.nodes, [id_at(7)])
        assert not opened.is_whole
        assert [node.id for node in opened.nodes] == [node.id for node in reach.nodes]
        await asyncio.to_thread(server.start)
        async with replaying(store):

            async def are_kept() -> bool:
                if store.outage.is_on:
                    return False
                return len(await archive.nodes("door")) == store.consolidator.num_made

            await until(are_kept)
        assert store.consolidator.num_made > made


async def test_forgetting_takes_what_nodes_have_of_the_forgotten(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store = await filled(archive, tmp_path)
    before_ms = 100 * CHUNK_MS
    await store.forget("door", before_ms)
    nodes = store.resident.nodes(["door"])
    sections = [s.child for node in nodes for s in node.sections]
    assert all(child.end_ms > before_ms for child in sections)
    assert tokens(nodes) == store.resident.num_tokens
    assert all(node.start_ms >= before_ms for node in await archive.nodes("door"))
    assert store.watched("door").spans[0].start_ms == before_ms
    after = await new_store(archive, tmp_path, budget=BUDGET)
    await after.rebuild(["door"])
    assert after.resident.nodes(["door"])[0].id.start_ms == before_ms
    assert after.resident.num_tokens <= BUDGET


async def test_nodes_that_wait_for_the_archive_are_forgotten_too(
    archive: RedisArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = archive.put

    async def refuse_nodes(chunk: ChunkId, blobs: dict[Level, bytes]) -> None:
        if not chunk.is_chunk:
            raise ArchiveFullError("no room for nodes")
        await put(chunk, blobs)

    monkeypatch.setattr(archive, "put", refuse_nodes)
    store = await filled(archive, tmp_path, 100, 100)
    monkeypatch.undo()
    await store.forget("door", 50 * CHUNK_MS)
    await store.consolidator.archive_nodes()
    kept = await archive.nodes("door")
    assert kept
    assert all(node.start_ms >= 50 * CHUNK_MS for node in kept)


async def test_a_model_of_which_only_nodes_are_left_is_forgotten_too(
    archive: RedisArchive, tmp_path: Path
) -> None:
    await filled(archive, tmp_path, 100, 100)
    await archive.remove(await archive.timeline("door"))
    assert await archive.models("door") == ["m"]
    await archive.forget("door", 1 << 40)
    assert await archive.models("door") == []
