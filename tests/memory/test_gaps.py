"""Gaps are kept once each, in order, bounded, and survive whoever noted them."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.gaps import MAX_GAPS, Gap, GapLog
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
