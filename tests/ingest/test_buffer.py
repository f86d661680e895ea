import asyncio

import numpy as np
import pytest

from ingest.buffer import ChunkBuffer
from ingest.frame import FrameChunk
from ingest.settings import HandOff


def chunk(start_s: float) -> FrameChunk:
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    return FrameChunk("door", pixels, np.array([start_s]), start_s + 1)


async def test_drop_oldest_gives_back_what_it_drops():
    buffer = ChunkBuffer(2, HandOff.DROP_OLDEST)
    dropped = [await buffer.put(chunk(number)) for number in range(4)]
    assert [c and c.start_s for c in dropped] == [None, None, 0.0, 1.0]
    await buffer.close()
    assert [(await buffer.get()).start_s for _ in range(2)] == [2.0, 3.0]
    assert await buffer.get() is None


async def test_wait_holds_the_giver_until_there_is_room():
    buffer = ChunkBuffer(1, HandOff.WAIT)
    await buffer.put(chunk(0))
    giving = asyncio.create_task(buffer.put(chunk(1)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(giving), 0.05)
    assert (await buffer.get()).start_s == 0.0
    assert await giving is None
    assert (await buffer.get()).start_s == 1.0


async def test_closing_wakes_who_waits():
    buffer = ChunkBuffer(1, HandOff.WAIT)
    taking = asyncio.create_task(buffer.get())
    await asyncio.sleep(0)
    await buffer.close()
    assert await taking is None
