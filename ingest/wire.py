"""What a reader process tells its owner, as bytes in a pipe.

A message is a big-endian length of header and payload (4 and 8 bytes), a msgpack header
and raw pixels.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import BinaryIO

import msgpack
import numpy as np

from ingest.frame import FrameChunk

TOO_LARGE = 77
"""What a reader exits with that took more memory than it may."""

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER_BYTES = 1 << 20
_MAX_PAYLOAD_BYTES = 1 << 34


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Frames keep coming.

    Attributes:
        last_frame_s: UTC of the newest.
    """

    last_frame_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The camera can't be read on.

    Attributes:
        error: Name of the exception.
        text: Its message, redacted.
    """

    error: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The stream is over, as it should be."""


Message = FrameChunk | Heartbeat | Failure | End


def write_message(pipe: BinaryIO, message: Message) -> None:
    """Write a message and flush it.

    Raises:
        BrokenPipeError: Nobody is there to read it.
    """
    header, payload = _encode(message)
    packed = msgpack.packb(header)
    pipe.write(_LENGTHS.pack(len(packed), len(payload)))
    pipe.write(packed)
    pipe.write(payload)
    pipe.flush()


async def read_message(pipe: asyncio.StreamReader) -> Message:
    """Read a message.

    Raises:
        asyncio.IncompleteReadError: The writer is gone.
        ValueError: What came is no message.
    """
    header_bytes, payload_bytes = _LENGTHS.unpack(await pipe.readexactly(_LENGTHS.size))
    if header_bytes > _MAX_HEADER_BYTES or payload_bytes > _MAX_PAYLOAD_BYTES:
        raise ValueError("the reader process sent no message")
    header = msgpack.unpackb(await pipe.readexactly(header_bytes))
    return _decode(header, await pipe.readexactly(payload_bytes))


def _encode(message: Message) -> tuple[dict[str, object], memoryview]:
    match message:
        case FrameChunk():
            header = {
                "type": "chunk",
                "camera": message.camera,
                "shape": message.pixels.shape,
                "times_s": message.times_s.tolist(),
                "end_s": message.end_s,
            }
            return header, np.ascontiguousarray(message.pixels).data.cast("B")
        case Heartbeat():
            header = {"type": "heartbeat", "last_frame_s": message.last_frame_s}
        case Failure():
            header = {"type": "failure", "error": message.error, "text": message.text}
        case End():
            header = {"type": "end"}
    return header, memoryview(b"")


def _decode(header: dict[str, object], payload: bytes) -> Message:
    match header:
        case {
            "type": "chunk",
            "camera": str(camera),
            "shape": list(shape),
            "times_s": list(times_s),
            "end_s": float(end_s),
        }:
            pixels = np.frombuffer(payload, np.uint8).reshape(shape)
            return FrameChunk(camera, pixels, np.array(times_s, np.float64), end_s)
        case {"type": "heartbeat", "last_frame_s": float(last_frame_s)}:
            return Heartbeat(last_frame_s)
        case {"type": "failure", "error": str(error), "text": str(text)}:
            return Failure(error, text)
        case {"type": "end"}:
            return End()
    raise ValueError("the reader process sent an unknown message")
