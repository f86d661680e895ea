"""Gaps reach the archive, and the time without an agent becomes one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from outages import replaying
from servers import RedisServer
from stores import compressed, new_store
from waiting import until

from agent.gap_keeping import keep_gaps, write_gaps
from ingest import status
from ingest.clock import utc_now
from ingest.status import GapReason
from memory.gaps import Gap, GapLog
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive
from memory.store import MemoryStore


class PlayedSource:
    """A camera that nobody reads: its gaps are what a test says."""

    def __init__(self) -> None:
        self.gaps: tuple[status.Gap, ...] = ()
        self.began_s: float | None = None


@pytest.fixture
async def archive(
    redis_server: RedisServer, prefix: str
) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(redis_server.url, model="m", prefix=prefix) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.gap_keeping.INTERVAL_S", 0.01)
    monkeypatch.setattr("memory.store.REPLAY_INTERVAL_S", 0.01)


@asynccontextmanager
async def keeping(store: MemoryStore, source: PlayedSource) -> AsyncIterator[GapLog]:
    """Run the task, as the agent does."""
    gaps = GapLog()
    task = asyncio.create_task(keep_gaps(store, gaps, {"door": source}))
    try:
        yield gaps
    finally:
        task.cancel()


def kept(gap: status.Gap) -> Gap:
    return Gap(round(1000 * gap.start_s), round(1000 * gap.end_s), gap.reason.value)


async def until_kept(archive: RedisArchive, *expected: Gap) -> None:
    async def is_kept() -> bool:
        log = GapLog()
        await log.load(archive, "door")
        return log.within("door") == [*expected]

    await until(is_kept)


async def test_a_gap_is_written_as_it_goes_and_survives_a_restart(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store, source = await new_store(archive, tmp_path), PlayedSource()
    now_s = utc_now()
    async with keeping(store, source) as gaps:
        for length_s in (5, 9):
            outage = status.Gap(now_s + 1, now_s + length_s, GapReason.OFFLINE)
            source.gaps = (outage,)
            await until_kept(archive, kept(outage))
        stall = status.Gap(now_s + 20, now_s + 30, GapReason.STALLED)
        source.gaps = (outage, stall)
        await write_gaps(store, gaps, {"door": source})  # as when the agent stops
    await until_kept(archive, kept(outage), kept(stall))


async def test_after_a_kill_the_time_up_to_what_is_known_first_was_not_started(
    archive: RedisArchive, tmp_path: Path
) -> None:
    await (await new_store(archive, tmp_path)).remember(compressed(0))
    store, source = await new_store(archive, tmp_path), PlayedSource()
    await store.rebuild(["door"])
    began_ms = round(1000 * utc_now())
    async with keeping(store, source) as gaps:
        await until(lambda: gaps.within("door"))
        [gap] = gaps.within("door")
        assert (gap.start_ms, gap.reason) == (1000, "not_started")
        assert began_ms <= gap.end_ms <= round(1000 * utc_now())
        await until_kept(archive, gap)
        first_s = gap.end_ms / 1000 + 2
        outage = status.Gap(first_s - 1, first_s, GapReason.OFFLINE)
        source.gaps, source.began_s = (outage,), first_s
        longer = Gap(1000, kept(outage).start_ms, "not_started")
        await until_kept(archive, longer, kept(outage))


async def test_what_is_known_last_may_be_a_gap(
    archive: RedisArchive, tmp_path: Path
) -> None:
    before = GapLog()
    before.add("door", Gap(1000, 9000, "offline"))
    await before.write(archive)
    store = await new_store(archive, tmp_path)
    await store.rebuild(["door"])
    async with keeping(store, PlayedSource()) as gaps:
        await until(lambda: len(gaps.within("door")) == 2)
        offline, absence = gaps.within("door")
    assert offline.reason == "offline"
    assert (absence.start_ms, absence.reason) == (9000, "not_started")


async def test_what_another_model_watched_was_watched(
    archive: RedisArchive, tmp_path: Path
) -> None:
    before = GapLog()
    before.add("door", Gap(1000, 2000, "offline"))
    await before.write(archive)
    last = ChunkId("door", 5000, 7000)
    await archive.of_model("other").put(last, {Level.HIGH: b"high"})
    store = await new_store(archive, tmp_path)
    await store.rebuild(["door"])
    async with keeping(store, PlayedSource()) as gaps:
        await until(lambda: len(gaps.within("door")) == 2)
        assert [gap.start_ms for gap in gaps.within("door")] == [1000, 7000]


async def test_a_new_camera_has_no_time_before_it(
    archive: RedisArchive, tmp_path: Path
) -> None:
    store, source = await new_store(archive, tmp_path), PlayedSource()
    await store.rebuild(["door"])
    now_s = utc_now()
    outage = status.Gap(now_s + 1, now_s + 2, GapReason.OFFLINE)
    async with keeping(store, source):
        source.gaps, source.began_s = (outage,), now_s + 2
        await until_kept(archive, kept(outage))


async def test_while_the_archive_is_away_gaps_wait(
    start_redis: Callable[..., RedisServer], prefix: str, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(start_redis)
    async with RedisArchive(
        server.url, model="m", prefix=prefix, timeout_s=0.5
    ) as archive:
        store, source = await new_store(archive, tmp_path), PlayedSource()
        await store.rebuild(["door"])
        now_s = utc_now()
        first = status.Gap(now_s + 1, now_s + 2, GapReason.OFFLINE)
        second = status.Gap(now_s + 11, now_s + 12, GapReason.STALLED)
        source.gaps = (first,)
        async with keeping(store, source) as gaps, replaying(store):
            await until_kept(archive, kept(first))
            await asyncio.to_thread(server.kill)
            source.gaps = (first, second)
            await until(lambda: store.outage.is_on)
            assert gaps.within("door") == [kept(first), kept(second)]
            await asyncio.to_thread(server.start)  # which has kept nothing
            await until(lambda: not store.outage.is_on)
            await until_kept(archive, kept(second))
