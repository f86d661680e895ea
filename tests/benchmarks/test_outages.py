import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import RedisServer, find_binary

from benchmarks.outage_writer import chunk_of, open_store
from benchmarks.outages import judge, soak
from memory.kv import Level
from memory.writing import write_chunk

FAULTS = (
    "lost",
    "broken",
    "lost_by_the_replay",
    "twice",
    "out_of_order",
    "blobs_without_a_chunk",
)


class ClaimingWriter:
    """Says that it has remembered chunks 0 to 4, and was never there."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.archived, self.spooled = {0, 1, 2}, {3, 4}


@pytest.mark.timeout(150)
def test_no_chunk_reported_remembered_is_lost_by_kill_9(
    short_folder: Callable[[], Path],
) -> None:
    find_binary("redis-server")
    found = soak(short_folder(), rounds=10, fsync="always", seed=3)
    assert {name: found[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert sum(found["kills"].values()) == 10
    assert found["reported"] > found["straight_into_the_archive"] > 0


async def test_what_was_lost_or_altered_is_found(
    start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = await asyncio.to_thread(start_redis)
    writer = ClaimingWriter(tmp_path / "spool")
    async with open_store(server.url, writer.spool) as store:
        for number in (0, 1, 3):
            await store.remember(chunk_of(number))
        one, two = (
            write_chunk(chunk_of(n), store.bilevel, store.model)[0] for n in (1, 2)
        )
        wrong = one | {Level.HIGH: two[Level.HIGH]}
        await store.archive.put(chunk_of(1).memory.id, wrong)
    found = await judge(server.url, writer)
    assert (found["reported"], found["lost"], found["broken"]) == (5, 2, 1)
