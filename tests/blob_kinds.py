"""The kinds of blob that tests write and read: what is in them, and what does it."""

import dataclasses
import itertools
from collections.abc import Callable

import pytest
import torch

from memory.codec import (
    Compression,
    decode_keys,
    decode_low,
    decode_node,
    decode_picture,
    encode_keys,
    encode_low,
    encode_node,
    encode_picture,
)
from memory.kv import KV, ChunkId, Level, Node, Section, Tier
from memory.relevance import ChunkKeys

CHUNK = ChunkId("door", 1_700_000_000_000, 1_700_000_010_000)
MINUTE = ChunkId("door", 1_700_000_000_000, 1_700_000_060_000, Tier.MINUTE)
MODEL = "ab12cd34"
INDEX = "0.0 1.0"
POOLING = Compression("pooling", 2.0)
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
]


def random_kv(
    layers: int = 2,
    heads: int = 1,
    tokens: int = 3,
    size: int = 4,
    dtype: torch.dtype = torch.bfloat16,
) -> KV:
    shape = (layers, heads, tokens, size)
    keys, values = torch.randn(2, *shape).to(dtype)
    return KV(keys, values, torch.rand(layers, 3, tokens), span=7)


def random_keys(
    heads: int = 2, keys: int = 5, size: int = 4, dtype: torch.dtype = torch.bfloat16
) -> ChunkKeys:
    return ChunkKeys(CHUNK, torch.randn(heads, keys, size).to(dtype))


def chunk_node(kv: KV) -> Node:
    return Node(CHUNK, kv, min(kv.num_tokens, 1), low_tokens=11)


def minute_node(kv: KV, bounds: tuple[int, ...] = (1, 2)) -> Node:
    """A node of KV cut at bounds: first its stamp, then a section for each bound."""
    ends = [*sorted(min(bound, kv.num_tokens) for bound in bounds), kv.num_tokens]
    sections = [
        Section(
            ChunkId("door", MINUTE.start_ms + n, MINUTE.start_ms + n + 1),
            end - start,
            n,
        )
        for n, (start, end) in enumerate(itertools.pairwise(ends))
    ]
    return Node(MINUTE, kv, ends[0], tuple(sections))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of blob: how it is written of some KV, and read."""

    level: Level
    id: ChunkId
    write: Callable[[KV, Compression, str], bytes]
    read: Callable[[bytes, ChunkId, str], object]


def write_keys(kv: KV, made: Compression, model: str) -> bytes:
    keys = random_keys(dtype=kv.keys.dtype)
    return encode_keys(keys, made, model, INDEX)


KINDS = [
    Kind(
        Level.HIGH,
        CHUNK,
        lambda kv, made, model: encode_node(chunk_node(kv), made, model),
        decode_node,
    ),
    Kind(
        Level.HIGH,
        MINUTE,
        lambda kv, made, model: encode_node(minute_node(kv), made, model),
        decode_node,
    ),
    Kind(
        Level.KEYS,
        CHUNK,
        write_keys,
        lambda blob, chunk, model: decode_keys(blob, chunk, model, INDEX),
    ),
    Kind(
        Level.LOW,
        CHUNK,
        lambda kv, made, model: encode_low(CHUNK, kv, made, model),
        decode_low,
    ),
    Kind(
        Level.PICTURE,
        CHUNK,
        lambda kv, made, model: encode_picture(CHUNK, b"\xff\xd8 a JPEG", model),
        decode_picture,
    ),
]
every_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=["chunk", "node", "keys", "low", "picture"]
)
