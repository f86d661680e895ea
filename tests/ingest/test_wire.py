import asyncio
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import FrameChunk
from ingest.wire import End, Failure, Heartbeat, Message, read_message, write_message


async def send(*messages: Message) -> asyncio.StreamReader:
    pipe = io.BytesIO()
    for message in messages:
        write_message(pipe, message)
    reader = asyncio.StreamReader()
    reader.feed_data(pipe.getvalue())
    reader.feed_eof()
    return reader


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
async def test_a_chunk_comes_through_unchanged(n: int, h: int, w: int, seed: int):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, h, w, 3), np.uint8)
    times_s = 1.7e9 + np.cumsum(rng.random(n) + 0.01)
    sent = FrameChunk("door", pixels, times_s, float(times_s[-1] + 1))
    got = await read_message(await send(sent))
    assert isinstance(got, FrameChunk)
    assert (got.camera, got.end_s) == (sent.camera, sent.end_s)
    np.testing.assert_array_equal(got.pixels, pixels)
    np.testing.assert_array_equal(got.times_s, times_s)


async def test_messages_follow_each_other():
    sent = [Heartbeat(1.5), Failure("CameraLostError", "a: b"), End()]
    reader = await send(*sent)
    assert [await read_message(reader) for _ in sent] == sent
    with pytest.raises(asyncio.IncompleteReadError):
        await read_message(reader)


@pytest.mark.parametrize("noise", [b"\xff" * 64, b"Traceback (most recent call last)"])
async def test_what_is_no_message_is_refused(noise: bytes):
    reader = asyncio.StreamReader()
    reader.feed_data(noise)
    reader.feed_eof()
    with pytest.raises(ValueError, match="message"):
        await read_message(reader)
