"""A compressed chunk as the blobs that the archive keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from memory.codec import (
    Compression,
    encode_keys,
    encode_low,
    encode_node,
    encode_picture,
)
from memory.compression.bilevel import BiLevel, CompressedChunk, LevelSettings
from memory.kv import Level
from memory.relevance import ChunkKeys

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Stored:
    """What remembering one chunk cost.

    Attributes:
        high_bytes: Size of its H-KV and its index keys.
        low_bytes: Size of its L-KV and its picture.
        is_spooled: Whether it waits on disk for the archive.
    """

    high_bytes: int
    low_bytes: int
    is_spooled: bool

    @classmethod
    def of(cls, blobs: Mapping[Level, bytes], *, is_spooled: bool) -> "Stored":
        """Count the blobs of a chunk."""
        sizes = {level: len(blob) for level, blob in blobs.items()}
        high_bytes = sizes[Level.HIGH] + sizes[Level.KEYS]
        low_bytes = sizes[Level.LOW] + sizes.get(Level.PICTURE, 0)
        return cls(high_bytes, low_bytes, is_spooled)


def write_chunk(
    chunk: CompressedChunk, bilevel: BiLevel, model: str, picture: bytes | None = None
) -> tuple[dict[Level, bytes], ChunkKeys]:
    """Give a chunk's blobs, and its index keys on the CPU.

    Args:
        chunk: Its tensors on any device.
        bilevel: How it was compressed.
        model: Fingerprint of the model whose KV it is.
        picture: A JPEG of it, if there is one.

    Raises:
        ValueError: As `codec.encode_node`.
    """
    id = chunk.memory.id
    high, low = _made(bilevel.high), _made(bilevel.low)
    keys = ChunkKeys(id, chunk.memory.index_keys.to(CPU))
    blobs = {
        Level.HIGH: encode_node(chunk.memory.node, high, model),
        Level.LOW: encode_low(id, chunk.low, low, model),
        Level.KEYS: encode_keys(keys, high, model, bilevel.heads.index_name),
    }
    if picture is not None:
        blobs[Level.PICTURE] = encode_picture(id, picture, model)
    return blobs, keys


def _made(level: LevelSettings) -> Compression:
    return Compression(level.method, level.factor, level.numbers)
