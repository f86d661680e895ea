"""Gaps are kept once each, in order, bounded, and survive whoever noted them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outages import frozen, set_room
from servers import RedisServer

from memory.errors import ArchiveFullError, ArchiveUnavailableError
from memory.gaps import MAX_GAPS, Gap, GapLog, cameras_with_gaps
from memory.redis_archive import RedisArchive

reasons = st.sampled_from(["offline", "stalled", "dropped"])
gaps = st.builds(
    lambda start_ms, length_ms, reason: Gap(start_ms, start_ms + length_ms, reason),
    st.integers(0, 100_000),
    st.integers(1, 5_000),
    reasons,
)


@pytest.fixture
async def archive(archive_url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(archive_url, model="m", prefix=prefix) as opened:
        yield opened


def log_of(*found: Gap) -> GapLog:
    log = GapLog()
    for gap in found:
        log.add("door", gap)
    return log


@given(gaps)
def test_a_name_says_all(gap: Gap):
    assert Gap.parse(gap.name) == gap


@given(st.lists(gaps, max_size=30))
def test_no_time_is_lost_and_none_is_added(found: list[Gap]):
    kept = log_of(*found).within("door")
    for gap in found:
        assert any(
            k.reason == gap.reason
            and k.start_ms <= gap.start_ms
            and gap.end_ms <= k.end_ms
            for k in kept
        )
    assert list(kept) == sorted(kept)
    for k in kept:  # it begins and ends where some gap did
        own = [g for g in found if g.reason == k.reason]
        assert k.start_ms in {g.start_ms for g in own}
        assert k.end_ms in {g.end_ms for g in own}


def test_a_gap_that_grows_is_one():
    log = log_of(*(Gap(1000, 2000 + n * 1000, "offline") for n in range(60)))
    assert log.within("door") == [Gap(1000, 61_000, "offline")]


def test_gaps_of_other_reasons_or_far_away_are_others():
    found = [
        Gap(1000, 2000, "offline"),
        Gap(2000, 3000, "stalled"),
        Gap(4500, 5000, "stalled"),
    ]
    assert log_of(*found).within("door") == found


def test_a_window_gives_what_overlaps_it():
    found = [Gap(n * 10_000, n * 10_000 + 5000, "offline") for n in range(1, 6)]
    log = log_of(*found)
    assert log.within("door", 24_999, 40_000) == found[1:3]
    assert log.within("door", None, 10_001) == found[:1]
    assert log.within("yard") == []


def test_the_oldest_are_let_go_when_there_are_too_many():
    found = [Gap(n * 10_000, n * 10_000 + 1, "stalled") for n in range(MAX_GAPS + 5)]
    kept = log_of(*found).within("door")
    assert list(kept) == found[5:]


async def test_what_was_written_comes_back_once(archive: RedisArchive):
    log = log_of(Gap(1000, 2000, "offline"), Gap(9000, 9500, "dropped"))
    log.add("yard", Gap(7, 8, "stalled"))
    await log.write(archive)
    await log.write(archive)
    log.add("door", Gap(9500, 12_000, "dropped"))  # it went on
    await log.write(archive)
    again = GapLog()
    await again.load(archive, "door")
    await again.load(archive, "yard")
    assert again.within("door") == [
        Gap(1000, 2000, "offline"),
        Gap(9000, 12_000, "dropped"),
    ]
    assert again.within("yard") == [Gap(7, 8, "stalled")]


async def test_a_member_that_is_no_gap_is_left_alone(archive: RedisArchive):
    key = archive.keys.gaps("door")
    await archive.redis.transact([("ZADD", key, 7, "something else")])
    log = log_of(Gap(1000, 2000, "offline"))
    await log.load(archive, "door")
    await log.write(archive)
    assert log.within("door") == [Gap(1000, 2000, "offline")]
    async with archive.redis.turn() as client:
        names = await client.zrangebyscore(key, "-inf", "+inf")
    assert names == [b"something else", b"0000000001000-0000000002000.offline"]


async def test_cameras_that_have_gaps_alone_are_known(archive: RedisArchive):
    log = log_of(Gap(1000, 2000, "offline"))
    log.add("yard", Gap(7, 8, "stalled"))
    await log.write(archive)
    assert await cameras_with_gaps(archive) == ["door", "yard"]


async def test_a_write_goes_on_while_gaps_come_and_are_forgotten(archive: RedisArchive):
    log = log_of(Gap(1000, 2000, "offline"), Gap(5000, 6000, "offline"))
    async with asyncio.TaskGroup() as both:
        both.create_task(log.write(archive))
        await asyncio.sleep(0)
        log.forget("yard", 1)
        log.add("cellar", Gap(7, 8, "stalled"))
        log.forget("door", 2000)
    await log.write(archive)
    after = GapLog()
    for camera in ("door", "cellar"):
        await after.load(archive, camera)
    assert after.within("door") == [Gap(5000, 6000, "offline")]
    assert after.within("cellar") == [Gap(7, 8, "stalled")]


async def test_what_may_have_been_written_is_taken_back_once_it_has_grown(
    start_redis: Callable[..., RedisServer], prefix: str
):
    """The server stores the first, and its answer is late."""
    server = await asyncio.to_thread(start_redis)
    async with RedisArchive(
        server.url, model="m", prefix=prefix, timeout_s=0.3
    ) as archive:
        await archive.ping()
        log = log_of(Gap(1000, 2000, "offline"))
        with frozen(server), pytest.raises(ArchiveUnavailableError):
            await log.write(archive)
        log.add("door", Gap(1000, 3000, "offline"))
        await log.write(archive)
        after = GapLog()
        await after.load(archive, "door")
        assert after._written["door"] == {Gap(1000, 3000, "offline")}


async def test_nothing_is_said_when_nothing_has_changed(archive: RedisArchive):
    log = log_of(Gap(1000, 2000, "offline"))
    await log.write(archive)
    async with RedisArchive("redis://127.0.0.1:9", model="m", timeout_s=0.5) as away:
        log.add("door", Gap(1000, 2000, "offline"))
        await log.write(away)


async def test_a_full_archive_is_given_them_later(
    start_redis: Callable[..., RedisServer], prefix: str
):
    server = await asyncio.to_thread(start_redis)
    async with RedisArchive(server.url, model="m", prefix=prefix) as archive:
        log = log_of(Gap(1000, 2000, "offline"))
        await set_room(server, 1)
        with pytest.raises(ArchiveFullError):
            await log.write(archive)
        await set_room(server, 0)
        await log.write(archive)
        assert await cameras_with_gaps(archive) == ["door"]


async def test_what_is_forgotten_is_gone_from_the_archive(archive: RedisArchive):
    log = log_of(Gap(1000, 2000, "offline"), Gap(9000, 9500, "dropped"))
    await log.write(archive)
    again = GapLog()
    await again.load(archive, "door")
    again.forget("door", 2000)
    await again.write(archive)
    after = GapLog()
    await after.load(archive, "door")
    assert after.within("door") == [Gap(9000, 9500, "dropped")]
    assert await archive.cameras() == []  # gaps alone make no camera of the archive
