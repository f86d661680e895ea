"""The ways to store the L-KV of a chunk that `benchmarks.archive_rates` compares."""

import asyncio
import importlib.util
import io
import pickle
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from redis.asyncio import Redis
from torch import Tensor

from memory.codec import DTYPES, Compression, decode_low, encode_low
from memory.kv import KV, ChunkId, Level
from memory.redis_archive import RedisArchive

MODEL, CAMERA = "rates", "bench"
LOW_FACTOR = 2.0
OURS, RAW = "ours", "raw"

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the L-KV of a chunk is like.

    Attributes:
        layers: Of the language model.
        heads: Key-value heads of each.
        size: Of a head.
        tokens: Of the L-KV.
        dtype: That the model computes in, and quantised numbers are made of.
    """

    layers: int
    heads: int
    size: int
    tokens: int
    dtype: torch.dtype


# Qwen2.5-VL-7B: eight frames of 448 x 336 are four pairs of 12 x 16 tokens; with a time
# stamp of about ten and two markers these are 780, of which L-KV keeps half.
SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "builtin": Shape(4, 4, 32, 70, torch.float32),
        "builtin-chunk": Shape(4, 4, 32, 42, torch.float32),  # half of its 84 tokens
        "qwen2.5-vl-7b": Shape(28, 4, 128, 390, torch.bfloat16),
        "tiny": Shape(2, 1, 8, 5, torch.float32),
    }
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to store a chunk and to have it back.

    Attributes:
        name: Its name.
        put: Stores the chunk in a numbered place.
        get: Gives back what is in it, as tensors if the way has any.
        num_bytes: What it stores of a chunk.
    """

    name: str
    put: Callable[[int], Awaitable[Any]]
    get: Callable[[int], Awaitable[Any]]
    num_bytes: int


def make_kv(shape: Shape, numbers: str, seed: int) -> KV:
    """Give random KV, with positions that are the same in all layers."""
    random = torch.Generator().manual_seed(seed)
    sizes = (2, shape.layers, shape.heads, shape.tokens, shape.size)
    dtype = DTYPES.get(numbers, shape.dtype) if "float" in numbers else shape.dtype
    keys, values = torch.randn(sizes, generator=random).to(dtype)
    positions = torch.arange(float(shape.tokens)).expand(shape.layers, 3, -1)
    # Of one storage, pickle would write all of it for each of the two.
    return KV(keys.clone(), values.clone(), positions, shape.tokens)


def our_way(archive: RedisArchive, kv: KV, numbers: str) -> Way:
    """Give the product's own way, through the codec and the archive."""
    made = Compression("novelty", LOW_FACTOR, numbers)

    async def put(place: int) -> None:
        blob = await asyncio.to_thread(encode_low, _id(place), kv, made, MODEL)
        await archive.put(_id(place), {Level.LOW: blob})

    async def get(place: int) -> KV:
        blob = await archive.get(_id(place), Level.LOW)
        return await asyncio.to_thread(decode_low, blob, _id(place), MODEL)

    return Way(OURS, put, get, len(encode_low(_id(0), kv, made, MODEL)))


def raw_way(client: Redis, kv: KV, numbers: str) -> Way:
    """Give SET and GET of the blob that our way stores."""
    blob = encode_low(_id(0), kv, Compression("novelty", LOW_FACTOR, numbers), MODEL)

    async def put(place: int) -> None:
        await client.set(f"{RAW}:{place}", blob)

    async def get(place: int) -> bytes | None:
        return await client.get(f"{RAW}:{place}")

    return Way(RAW, put, get, len(blob))


def other_ways(client: Redis, kv: KV) -> list[Way]:
    """Give the ways that others have to write tensors; positions once, as ours."""
    tensors = {
        "keys": kv.keys,
        "values": kv.values,
        "positions": kv.positions[:1].contiguous(),
    }
    formats: dict[str, Format] = {  # pickle reads only what it has written here
        "pickle": (pickle.dumps, pickle.loads),
        "torch.save": (_torch_dump, _torch_load),
    }
    if importlib.util.find_spec("safetensors"):
        from safetensors.torch import load, save

        formats["safetensors"] = (save, load)
    for name in [name for name in formats if name != "torch.save"]:  # it has its own
        formats[f"{name} + CRC-32"] = _with_checksum(formats[name])
    return [_other_way(client, tensors, *each) for each in formats.items()]


Format = tuple[Callable[[Tensors], bytes], Callable[[bytes], Any]]


def _other_way(client: Redis, tensors: Tensors, name: str, by: Format) -> Way:
    dump, load = by

    async def put(place: int) -> None:
        await client.set(f"{name}:{place}", await asyncio.to_thread(dump, tensors))

    async def get(place: int) -> Any:
        return await asyncio.to_thread(load, await client.get(f"{name}:{place}"))

    return Way(name, put, get, len(dump(tensors)))


def _torch_dump(tensors: Tensors) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def _torch_load(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)


def _with_checksum(by: Format) -> Format:
    """Have a format's bytes summed as ours are; where the sum is kept costs nothing."""
    dump, load = by

    def summed(tensors: Tensors) -> bytes:
        data = dump(tensors)
        zlib.crc32(data)
        return data

    def proved(data: bytes) -> Any:
        zlib.crc32(data)
        return load(data)

    return summed, proved


def _id(place: int) -> ChunkId:
    return ChunkId(CAMERA, place * 10_000, place * 10_000 + 10_000)
