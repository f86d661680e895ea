"""A chunk's levels as blobs, in as few bits as its numbers are given, and back.

What a blob is and how it proves itself is told in `blob.py`; here is what is in it.
Numbers are quantised where they lie, before they leave the device, and spread out again
on the device that reads them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from memory.blob import DTYPES, dtype_name, read_blob, write_blob
from memory.errors import CorruptChunkError, ModelMismatchError
from memory.kv import KV, ChunkId, Level, Node, Section
from memory.quantisation import (
    GROUP_TOKENS,
    Quantised,
    dequantise_by_channel,
    dequantise_by_token,
    quantise_by_channel,
    quantise_by_token,
)
from memory.relevance import ChunkKeys

CPU = torch.device("cpu")
NUMBERS = ("model", "float32", "bfloat16", "int8", "int4")
_BITS: Mapping[str, int] = MappingProxyType({"int8": 8, "int4": 4})


@dataclass(frozen=True, slots=True)
class Compression:
    """How a level was made.

    Attributes:
        method: Name of the compression method.
        factor: Tokens in / tokens kept.
        numbers: What keys and values are written as, one of `NUMBERS`: `model` is the
            dtype they have; `int8` and `int4` are quantised.
    """

    method: str
    factor: float
    numbers: str = "model"

    def __post_init__(self) -> None:
        if self.numbers not in NUMBERS:
            known = ", ".join(NUMBERS)
            raise ValueError(f"unknown numbers {self.numbers!r}, known: {known}")


def encode_node(node: Node, compression: Compression, model: str) -> bytes:
    """Give back the blob of the H-KV of a chunk, or of a node of many.

    Args:
        node: Its tensors on any device.
        compression: How its H-KV was made.
        model: Fingerprint of the model whose KV it is.

    Raises:
        ValueError: A tensor's dtype has no place in the format, or a number is not
            finite and to be quantised.
    """
    dtype = node.high.keys.dtype
    head = _identity(node.id, Level.HIGH) | _origin(dtype, compression, model)
    facts = {
        "span": node.high.span,
        "stamp_tokens": node.stamp_tokens,
        "low_tokens": node.low_tokens,
        "sections": [
            [each.child.name, each.num_tokens, each.high_tokens]
            for each in node.sections
        ],
    }
    return write_blob(head | facts, _write_kv(node.high, compression.numbers))


def encode_keys(
    keys: ChunkKeys, compression: Compression, model: str, index: str
) -> bytes:
    """Give back the blob of a chunk's index keys; otherwise as `encode_node`.

    Args:
        keys: The chunk's.
        compression: What they are written as; its method and factor are the H-KV's.
        model: Fingerprint of the model whose keys they are.
        index: Name of the heads that they are of.
    """
    dtype = keys.index_keys.dtype
    head = _identity(keys.id, Level.KEYS) | _origin(dtype, compression, model)
    tensors = _write_numbers("index_keys", keys.index_keys, compression.numbers)
    return write_blob(head | {"index": index}, tensors)


def encode_low(chunk: ChunkId, kv: KV, compression: Compression, model: str) -> bytes:
    """Give back the blob of a chunk's L-KV; arguments and errors as `encode_node`."""
    head = _identity(chunk, Level.LOW) | _origin(kv.keys.dtype, compression, model)
    return write_blob(head | {"span": kv.span}, _write_kv(kv, compression.numbers))


def encode_picture(chunk: ChunkId, jpeg: bytes, model: str) -> bytes:
    """Give back the blob of a chunk's picture, a JPEG."""
    head = _identity(chunk, Level.PICTURE) | {"model": model}
    pixels = torch.frombuffer(bytearray(jpeg), dtype=torch.uint8)
    return write_blob(head, {"jpeg": pixels})


def decode_node(
    blob: bytes, node: ChunkId, model: str, device: torch.device = CPU
) -> Node:
    """Give back what `encode_node` was given.

    On the CPU, what was not quantised lies in the blob itself: it must not be written
    to.

    Args:
        blob: What the archive holds.
        node: The chunk or node it must be of.
        model: Fingerprint of the model it must be of.
        device: Where its tensors are wanted.

    Raises:
        CorruptChunkError: The blob is cut off, altered, of another format version, or
            of another chunk or level.
        ModelMismatchError: The blob was made by another model.
    """
    with _name_the_chunk(node, Level.HIGH):
        header, tensors = read_blob(blob, _identity(node, Level.HIGH))
        sections = [
            Section(ChunkId.parse(node.camera, name), *counts)
            for name, *counts in header["sections"]
        ]
        kv = _read_kv(tensors, header, device)
        stamp_tokens, low_tokens = header["stamp_tokens"], header["low_tokens"]
        read = Node(node, kv, stamp_tokens, tuple(sections), low_tokens)
        found = header["model"]
    _check_model(found, model)
    return read


def decode_keys(blob: bytes, chunk: ChunkId, model: str, index: str) -> ChunkKeys:
    """Give back what `encode_keys` was given, on the CPU.

    Keys of other heads say nothing to a question asked in these: they are left out, and
    there are none. Arguments and errors as for `decode_node`.

    Args:
        blob: What the archive holds.
        chunk: The chunk it must be of.
        model: Fingerprint of the model it must be of.
        index: Name of the heads in use.
    """
    with _name_the_chunk(chunk, Level.KEYS):
        header, tensors = read_blob(blob, _identity(chunk, Level.KEYS))
        keys = _read_numbers("index_keys", tensors, header, CPU)
        if header["index"] != index:
            keys = keys.new_empty(len(index.split()), 0, keys.shape[-1])
        read = ChunkKeys(chunk, keys)
        found = header["model"]
    _check_model(found, model)
    return read


def decode_low(
    blob: bytes, chunk: ChunkId, model: str, device: torch.device = CPU
) -> KV:
    """Give back the KV that `encode_low` was given; otherwise as `decode_node`.

    Raises:
        CorruptChunkError: As for `decode_node`.
        ModelMismatchError: The blob was made by another model.
    """
    with _name_the_chunk(chunk, Level.LOW):
        header, tensors = read_blob(blob, _identity(chunk, Level.LOW))
        kv = _read_kv(tensors, header, device)
        found = header["model"]
    _check_model(found, model)
    return kv


def decode_picture(blob: bytes, chunk: ChunkId, model: str) -> bytes:
    """Give back the JPEG that `encode_picture` was given; errors as `decode_node`."""
    with _name_the_chunk(chunk, Level.PICTURE):
        header, tensors = read_blob(blob, _identity(chunk, Level.PICTURE))
        jpeg: bytes = tensors["jpeg"].numpy().tobytes()
        found = header["model"]
    _check_model(found, model)
    return jpeg


def kv_bytes(shape: tuple[int, int, int, int], numbers: str, itemsize: int) -> int:
    """Give the bytes that keys and values take in a blob.

    Args:
        shape: Of either, (L, H, S, D).
        numbers: One of `NUMBERS`.
        itemsize: Bytes of a number in the dtype they have.
    """
    layers, heads, tokens, size = shape
    count = layers * heads * tokens * size
    if numbers not in _BITS:
        width = itemsize if numbers == "model" else DTYPES[numbers].itemsize
        return 2 * count * width
    groups = -(-tokens // GROUP_TOKENS)
    scales = layers * heads * (groups * size + tokens)  # of keys, of values
    return 2 * count * _BITS[numbers] // 8 + 4 * scales  # two float16 each


def _identity(chunk: ChunkId, level: Level) -> dict[str, Any]:
    """Give what a blob must say of itself to be the one that is looked for."""
    return {"camera": chunk.camera, "chunk": chunk.name, "level": level.value}


def _origin(dtype: torch.dtype, compression: Compression, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "compression": asdict(compression),
        "dtype": dtype_name(dtype),
    }


def _write_kv(kv: KV, numbers: str) -> dict[str, Tensor]:
    """Give the tensors of KV; positions that are the same in all layers once."""
    positions = kv.positions
    if (positions == positions[:1]).all():
        positions = positions[:1]
    return {
        **_write_numbers("keys", kv.keys, numbers),
        **_write_numbers("values", kv.values, numbers),
        "positions": positions,
    }


def _read_kv(
    tensors: Mapping[str, Tensor], header: Mapping[str, Any], device: torch.device
) -> KV:
    keys = _read_numbers("keys", tensors, header, device)
    values = _read_numbers("values", tensors, header, device)
    positions = tensors["positions"].to(device).expand(len(keys), -1, -1)
    return KV(keys, values, positions, header["span"])


def _write_numbers(name: str, x: Tensor, numbers: str) -> dict[str, Tensor]:
    """Give keys or values as they are written; keys by channel, the rest by token."""
    if numbers == "model":
        return {name: x}
    if numbers not in _BITS:
        return {name: x.to(DTYPES[numbers])}
    quantise = quantise_by_channel if name == "keys" else quantise_by_token
    made = quantise(x, _BITS[numbers])
    parts = {"codes": made.codes, "least": made.least, "step": made.step}
    return {f"{name}.{part}": tensor for part, tensor in parts.items()}


def _read_numbers(
    name: str,
    tensors: Mapping[str, Tensor],
    header: Mapping[str, Any],
    device: torch.device,
) -> Tensor:
    dtype, numbers = DTYPES[header["dtype"]], header["compression"]["numbers"]
    if numbers not in _BITS:
        return tensors[name].to(device).to(dtype)
    parts = [
        tensors[f"{name}.{part}"].to(device) for part in ("codes", "least", "step")
    ]
    dequantise = dequantise_by_channel if name == "keys" else dequantise_by_token
    return dequantise(Quantised(*parts), _BITS[numbers], dtype)


def _check_model(found: str, model: str) -> None:
    if found != model:
        raise ModelMismatchError(expected=model, found=found)


@contextmanager
def _name_the_chunk(chunk: ChunkId, level: Level) -> Iterator[None]:
    """Turn whatever a malformed blob causes into an error that names the chunk.

    A header whose checksum holds may still lack a key or hold nonsense, if a faulty
    writer made it; that too is a corrupt chunk, not a crash.
    """
    try:
        yield
    except KeyError as exc:
        raise CorruptChunkError(chunk, f"level {level.name}: no {exc}") from exc
    except (
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as exc:
        raise CorruptChunkError(chunk, f"level {level.name}: {exc}") from exc
