"""How the archive is reached: what is cancelled, shared or lost spoils nothing."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archived import MODEL, chunk_at, levels
from redis.asyncio import Redis
from servers import RedisServer, ThreeMasters

from memory.errors import ArchiveUnavailableError
from memory.kv import ChunkId, Level
from memory.redis_archive import RedisArchive

HOUR_MS = 3_600_000


async def test_cancelled_operations_leave_no_reply_to_the_next_one(
    archive: RedisArchive,
):
    values = {chunk_at(s): b"%06d" % s * 50_000 for s in range(8)}
    for chunk, value in values.items():
        await archive.put(chunk, levels(value, *3 * [value[::-1]]))

    async def read(chunk: ChunkId) -> None:
        assert await archive.get(chunk, Level.HIGH) == values[chunk]

    async def store(chunk: ChunkId) -> None:
        value = values[chunk]
        await archive.put(chunk, levels(value, *3 * [value[::-1]]))

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


async def test_answers_side_by_side_share_a_few_connections(
    redis_server: RedisServer, prefix: str
):
    async with (
        RedisArchive(redis_server.url, model=MODEL, prefix=prefix) as archive,
        Redis.from_url(redis_server.url) as server,
    ):
        before = len(await server.client_list())
        chunks = [chunk_at(second) for second in range(8)]
        for chunk in chunks:
            await archive.put(chunk, levels(b"high", chunk.name.encode() * 50_000))
        answers = [archive.get_many([(c, Level.LOW) for c in chunks]) for _ in range(8)]
        expected = [chunk.name.encode() * 50_000 for chunk in chunks]
        assert await asyncio.gather(*answers) == [expected] * 8
        assert 2 <= len(await server.client_list()) - before <= 4


async def test_questions_cancelled_under_load_leave_every_connection_good(
    archive: RedisArchive,
):
    chunks = [chunk_at(second) for second in range(12)]
    lows = {chunk: chunk.name.encode() * 8_000 for chunk in chunks}
    for chunk, low in lows.items():
        await archive.put(chunk, levels(b"high", low))
    chance = random.Random(5)

    async def ask() -> None:
        wanted = chance.sample(chunks, 4)
        found = await archive.get_many([(chunk, Level.LOW) for chunk in wanted])
        assert found == [lows[chunk] for chunk in wanted]

    for _ in range(40):
        questions = [asyncio.create_task(ask()) for _ in range(6)]
        for question in chance.sample(questions, 4):
            await asyncio.sleep(chance.uniform(0, 0.002))
            question.cancel()
        await asyncio.wait(questions)
        for question in questions:
            assert question.cancelled() or question.exception() is None
        assert await archive.get(chunks[3], Level.LOW) == lows[chunks[3]]
    await asyncio.gather(*(ask() for _ in range(10)))


async def test_a_cluster_that_loses_the_node_of_a_camera_is_unavailable(
    short_folder: Callable[[], Path],
):
    cluster = ThreeMasters([short_folder() for _ in range(3)])
    try:
        await asyncio.to_thread(cluster.start)
        opened = RedisArchive(cluster.url, model=MODEL, timeout_s=2.0)
        async with opened as archive:
            await archive.put(chunk_at(1), levels(b"high", b"low"))
            for node in cluster.nodes:
                node.kill()
            with pytest.raises(ArchiveUnavailableError):
                await archive.put(chunk_at(2), levels(b"high", b"low"))
    finally:
        cluster.kill()
