import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from servers import RedisServer
from stores import compressed, new_store
from waiting import until

from agent.upkeep import Keep, forget_old
from memory.gaps import GapLog
from memory.kv import Level
from memory.redis_archive import RedisArchive
from memory.retention import Limits


@pytest.fixture
async def archive(
    redis_server: RedisServer, prefix: str
) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(redis_server.url, model="m", prefix=prefix) as opened:
        yield opened


async def test_what_is_too_old_and_what_is_too_much_go_with_one_line(
    archive: RedisArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also of a camera that is no longer in the config."""
    caplog.set_level(logging.INFO, "agent.upkeep")
    store = await new_store(archive, tmp_path)
    for number in range(6):
        await store.remember(compressed(number))
        await store.remember(compressed(number, "gone"))
    booked = await archive.booked("door")
    room = 2 * sum(b.num_bytes for b in booked[2:]) - 1
    keep = Keep(age_s=time.time() - 2.0, limits=Limits(total=room))
    task = asyncio.create_task(forget_old(store, ["door"], keep, GapLog()))
    await until(lambda: bool(caplog.records))
    task.cancel()

    assert len(await archive.timeline("door")) == len(await archive.timeline("gone"))
    assert [c.start_ms for c in await archive.timeline("gone")] == [
        *(2000, 3000, 4000, 5000),
    ]
    lows = [await archive.evicted(await archive.timeline(c)) for c in ("door", "gone")]
    assert [len(each) for each in lows] == [1, 0]
    assert await archive.get(lows[0][0], Level.HIGH)
    [line] = caplog.records
    assert line.levelname == "INFO"
    assert vars(line)["num_chunks"] == 4
    assert vars(line)["num_lows"] == 1
    assert vars(line)["num_bytes"] == (
        2 * sum(b.num_bytes for b in booked[:2]) + booked[2].low_bytes
    )


async def test_nothing_to_retire_is_nothing_to_say(
    archive: RedisArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agent.upkeep")
    store = await new_store(archive, tmp_path)
    await store.remember(compressed(0))
    keep = Keep(age_s=time.time(), limits=Limits(total=1 << 30))
    task = asyncio.create_task(forget_old(store, ["door"], keep, GapLog()))
    await asyncio.wait([task], timeout=0.3)
    task.cancel()
    assert await archive.timeline("door") == [compressed(0).memory.id]
    assert caplog.records == []
