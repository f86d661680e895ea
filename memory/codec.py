"""Blobs: one level of one chunk as bytes that prove themselves, and back.

The archive outlives the process that wrote it, so a blob says what it is, and nothing
in it is believed before its checksum holds. The layout is told byte by byte in
`docs/protocol.md`; in short:

    magic (8) | header length (4) | CRC-32 (4) | msgpack header | zeros | tensors

The checksum covers everything but itself. Every tensor starts at a multiple of 64 bytes
and is read where it lies.
"""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import msgpack
import torch
from torch import Tensor

from memory.errors import CorruptChunkError, ModelMismatchError
from memory.kv import KV, ChunkId, ChunkMemory, Level

FORMAT = 1
MAGIC = b"LONGWKV\n"
ALIGNMENT = 64

_PREFIX = struct.Struct("<8sII")
_SIGNED_PREFIX = struct.Struct("<8sI")  # the part of the prefix before its checksum

_DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e4m3fnuz,
        torch.float8_e5m2,
        torch.float8_e5m2fnuz,
        torch.int8,  # quantised index keys
        torch.uint8,
    )
}


@dataclass(frozen=True, slots=True)
class Compression:
    """How a level was made.

    Attributes:
        method: Name of the compression method.
        factor: Tokens in / tokens kept.
    """

    method: str
    factor: float


def encode_high(
    memory: ChunkMemory, compression: Compression, model: str, index: str
) -> bytes:
    """Give back the blob of a chunk's H-KV and index keys.

    Args:
        memory: The chunk, its tensors on any device.
        compression: How its H-KV was made.
        model: Fingerprint of the model whose KV it is.
        index: Name of the heads whose keys the index holds.

    Raises:
        ValueError: A tensor's dtype has no place in the format.
    """
    tensors = _named_tensors(memory.high) | {"index_keys": memory.index_keys}
    facts = {"span": memory.high.span, "low_tokens": memory.low_tokens, "index": index}
    head = _identity(memory.id, Level.HIGH, compression, model)
    return _pack(head | facts, tensors)


def encode_low(chunk: ChunkId, kv: KV, compression: Compression, model: str) -> bytes:
    """Give back the blob of a chunk's L-KV; arguments as for `encode_high`.

    Raises:
        ValueError: A tensor's dtype has no place in the format.
    """
    head = _identity(chunk, Level.LOW, compression, model)
    return _pack(head | {"span": kv.span}, _named_tensors(kv))


def decode_high(blob: bytes, chunk: ChunkId, model: str, index: str) -> ChunkMemory:
    """Give back what `encode_high` was given, on the CPU.

    The tensors lie in the blob itself: they must not be written to. Index keys of other
    heads say nothing to a question asked in these: they are left out, and the chunk
    says by `is_indexed` that it has none.

    Args:
        blob: What the archive holds.
        chunk: The chunk it must be of.
        model: Fingerprint of the model it must be of.
        index: Name of the heads in use.

    Raises:
        CorruptChunkError: The blob is cut off, altered, of another format version, or
            of another chunk or level.
        ModelMismatchError: The blob was made by another model.
    """
    with _name_the_chunk(chunk, Level.HIGH):
        header, body = _open(blob, chunk, Level.HIGH)
        tensors = _read_tensors(header, body)
        index_keys = tensors.pop("index_keys")
        if header.get("index") != index:
            num_heads, head_size = len(index.split()), index_keys.shape[-1]
            index_keys = index_keys.new_empty(num_heads, 0, head_size)
        kv = KV(**tensors, span=header["span"])
        memory = ChunkMemory(chunk, kv, index_keys, header["low_tokens"])
    _check_model(header, model)
    return memory


def decode_low(blob: bytes, chunk: ChunkId, model: str) -> KV:
    """Give back the KV that `encode_low` was given; otherwise as `decode_high`.

    Raises:
        CorruptChunkError: As for `decode_high`.
        ModelMismatchError: The blob was made by another model.
    """
    with _name_the_chunk(chunk, Level.LOW):
        header, body = _open(blob, chunk, Level.LOW)
        kv = KV(**_read_tensors(header, body), span=header["span"])
    _check_model(header, model)
    return kv


def _identity(
    chunk: ChunkId, level: Level, compression: Compression, model: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "camera": chunk.camera,
        "chunk": chunk.name,
        "level": level.value,
        "model": model,
        "compression": asdict(compression),
    }


def _named_tensors(kv: KV) -> dict[str, Tensor]:
    return {"keys": kv.keys, "values": kv.values, "positions": kv.positions}


def _pack(head: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    entries: list[dict[str, Any]] = []
    parts: list[bytes | memoryview] = []
    offset = 0
    for name, tensor in tensors.items():
        raw = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
        entries.append(
            {
                "name": name,
                "shape": list(tensor.shape),
                "dtype": _dtype_name(tensor.dtype),
                "offset": offset,
                "length": raw.nbytes,
            }
        )
        gap = bytes(-raw.nbytes % ALIGNMENT)
        parts += [raw.numpy().data, gap]
        offset += raw.nbytes + len(gap)
    header: bytes = msgpack.packb(head | {"tensors": entries})
    parts = [header, bytes(-(_PREFIX.size + len(header)) % ALIGNMENT), *parts]
    checksum = zlib.crc32(_SIGNED_PREFIX.pack(MAGIC, len(header)))
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([_PREFIX.pack(MAGIC, len(header), checksum), *parts])


def _dtype_name(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise ValueError(f"no tensor of dtype {name} goes into a blob")
    return name


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
    except (ValueError, TypeError, RuntimeError, OverflowError) as exc:
        raise CorruptChunkError(chunk, f"level {level.name}: {exc}") from exc


def _open(
    blob: bytes, chunk: ChunkId, level: Level
) -> tuple[dict[str, Any], memoryview]:
    """Give back the header and the tensors' bytes of a blob that proves itself."""
    view = memoryview(blob)
    if len(view) < _PREFIX.size:
        raise ValueError(f"cut off after {len(view)} bytes")
    magic, header_length, checksum = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise ValueError("not a blob of Longwatch")
    found = zlib.crc32(view[: _SIGNED_PREFIX.size])
    if zlib.crc32(view[_PREFIX.size :], found) != checksum:
        raise ValueError("checksum does not hold")
    end = _PREFIX.size + header_length
    header = msgpack.unpackb(view[_PREFIX.size : end])
    if header["format"] != FORMAT:
        raise ValueError(f"format version {header['format']}, expected {FORMAT}")
    expected = {"level": level.value, "camera": chunk.camera, "chunk": chunk.name}
    for key, value in expected.items():
        if header[key] != value:
            raise ValueError(f"{key} is {header[key]}, expected {value}")
    body = view[end + -end % ALIGNMENT :]
    length = sum(e["length"] + -e["length"] % ALIGNMENT for e in header["tensors"])
    if len(body) != length:
        raise ValueError(f"{len(body)} bytes of tensors, expected {length}")
    return header, body


def _check_model(header: dict[str, Any], model: str) -> None:
    if header["model"] != model:
        raise ModelMismatchError(expected=model, found=header["model"])


def _read_tensors(header: dict[str, Any], body: memoryview) -> dict[str, Tensor]:
    return {entry["name"]: _read_tensor(entry, body) for entry in header["tensors"]}


def _read_tensor(entry: dict[str, Any], body: memoryview) -> Tensor:
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    if entry["length"] != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{entry['name']}: {entry['length']} bytes for {shape}")
    if entry["length"] == 0:
        return torch.empty(shape, dtype=dtype)
    raw = body[entry["offset"] : entry["offset"] + entry["length"]]
    return torch.frombuffer(raw, dtype=dtype).reshape(shape)


def _acknowledge_read_only_buffers() -> None:
    """Have torch give its warning about read-only buffers here, unheard.

    torch gives it once in a process. Bytes from a socket are read-only, and copying
    them only to make them writable would double the memory of a re-hydration. Filtering
    the warning at each read is not safe across threads; importing is.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        torch.frombuffer(bytes(1), dtype=torch.uint8)


_acknowledge_read_only_buffers()
