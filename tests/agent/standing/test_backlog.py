import asyncio

import pytest
from kv_factory import make_chunk
from stores import BILEVEL

from agent.standing.backlog import Backlog, NewChunk, chunks_before
from memory.kv import ChunkId, Node


def node(number: int, camera: str = "gate", length_s: int = 4) -> Node:
    start_ms = number * 4000
    id = ChunkId(camera, start_ms, start_ms + length_s * 1000)
    return BILEVEL.compress_chunk(id, make_chunk(seed=0)).memory.node


def new_chunk(number: int, camera: str = "gate") -> NewChunk:
    made = node(number, camera)
    return NewChunk(made, made.high, ())


async def test_the_oldest_of_too_many_chunks_is_dropped_and_counted() -> None:
    backlog = Backlog(max_waiting=3)
    for number in range(5):
        backlog.put(new_chunk(number))
    found = [(await backlog.next()).id.start_ms for _ in range(3)]
    assert found == [8000, 12000, 16000]
    assert backlog.dropped == 2


async def test_cameras_take_turns() -> None:
    backlog = Backlog()
    for camera in ("gate", "gate", "gate", "yard"):
        backlog.put(new_chunk(len(camera), camera))
    order = [(await backlog.next()).id.camera for _ in range(4)]
    assert order == ["gate", "yard", "gate", "gate"]


async def test_who_waits_is_woken_by_a_chunk() -> None:
    backlog = Backlog()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(backlog.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        backlog.put(new_chunk(1))
    assert waiting.result().id.start_ms == 4000


@pytest.mark.parametrize(
    ("count", "found"), [(0, []), (1, [3]), (2, [2, 3]), (9, [1, 2, 3])]
)
def test_a_chunk_is_seen_behind_the_nearest_before_it(
    count: int, found: list[int]
) -> None:
    nodes = [node(number) for number in (1, 2, 3, 4, 5)]
    before = chunks_before(nodes, nodes[3].id, count)
    assert [each.id.start_ms // 4000 for each in before] == found


def test_what_was_long_before_is_no_context() -> None:
    nodes = [node(1), node(100), node(101)]
    assert [n.id for n in chunks_before(nodes, nodes[2].id, 5)] == [nodes[1].id]
