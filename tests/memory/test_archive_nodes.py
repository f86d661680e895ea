"""What the archive keeps of consolidated time, on each kind of server."""

import pytest
from archived import MODEL, chunk_at, levels, node_at

from memory.errors import ChunkNotFoundError
from memory.kv import Level, Tier
from memory.redis_archive import RedisArchive
from memory.retention import Freed

HOUR_MS = 3_600_000


async def test_a_node_is_listed_among_the_nodes_and_not_in_the_timeline(
    archive: RedisArchive, prefix: str
):
    chunk, node = chunk_at(0), node_at(0, length_s=1)  # of the same time
    await archive.put(chunk, levels(b"high", b"low"))
    await archive.put(node, levels(b"node"))
    assert await archive.nodes("door") == [node]
    assert await archive.timeline("door") == [chunk]
    assert await archive.keeps(node)
    assert await archive.get(node, Level.HIGH) == b"node"
    assert await archive.get(chunk, Level.HIGH) == b"high"
    own = f"{prefix}:{{door}}:{MODEL}"
    named = {f"{own}:nodes", f"{own}:h:{chunk.name}.minute"}
    assert named < await archive.redis.scan(f"{prefix}:*")
    assert await archive.remove([node]) == Freed(num_bytes=4)
    assert not await archive.keeps(node)
    assert await archive.keeps(chunk)
    assert await archive.get(chunk, Level.HIGH) == b"high"


async def test_nodes_of_all_tiers_come_in_the_order_of_their_starts(
    archive: RedisArchive,
):
    day = node_at(0, length_s=86_400, tier=Tier.DAY)  # longer than any chunk
    hour = node_at(86_400, length_s=3600, tier=Tier.HOUR)
    nodes = [day, hour, node_at(90_000), node_at(90_060)]
    for node in reversed(nodes):
        await archive.put(node, levels(b"node"))
    await archive.put(node_at(7, "yard"), levels(b"node"))
    assert await archive.nodes("door") == nodes
    assert await archive.nodes("nowhere") == []


async def test_a_node_is_forgotten_as_soon_as_anything_of_it_is(
    archive: RedisArchive,
):
    nodes = [node_at(0), node_at(60)]
    for node in nodes:
        await archive.put(node, levels(b"node"))
    for second in (0, 30, 60):
        await archive.put(chunk_at(second), levels(b"high", b"low", b"keys"))
    assert await archive.forget("door", before_ms=0) == Freed()
    assert await archive.forget("door", before_ms=1) == Freed(num_bytes=4)
    assert await archive.nodes("door") == nodes[1:]
    with pytest.raises(ChunkNotFoundError):
        await archive.get(nodes[0], Level.HIGH)
    freed = await archive.forget("door", before_ms=60_000)
    assert freed == Freed(num_chunks=2, num_bytes=22)
    assert await archive.nodes("door") == nodes[1:]
    assert await archive.forget("door", before_ms=60_001) == Freed(num_bytes=4)
    assert await archive.nodes("door") == []
    assert await archive.timeline("door") == [chunk_at(60)]


async def test_nodes_of_other_models_are_forgotten_too(archive: RedisArchive):
    other = archive.of_model("other")
    await other.put(chunk_at(1), levels(b"high"))
    await other.put(node_at(0), levels(b"node"))
    await archive.forget("door", before_ms=HOUR_MS)
    assert await other.nodes("door") == []


async def test_bytes_of_nodes_and_index_keys_count_in_the_book(archive: RedisArchive):
    await archive.put(chunk_at(0), levels(b"high", b"low", b"index keys"))
    await archive.put(node_at(0), levels(b"a node"))
    booked = await archive.booked("door")
    assert [(b.chunk, b.high_bytes, b.low_bytes) for b in booked] == [
        (chunk_at(0), 14, 3),
        (node_at(0), 6, 0),
    ]
    assert await archive.size("door") == 23
    freed = await archive.remove([chunk_at(0), node_at(0)])
    assert freed == Freed(num_chunks=1, num_bytes=23)
    assert await archive.booked("door") == []
