"""Tensors as bytes that prove themselves, and back.

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
from collections.abc import Mapping
from typing import Any

import msgpack
import torch
from isal.isal_zlib import crc32  # zlib's, ten times as fast
from torch import Tensor

FORMAT = 3
MAGIC = b"LONGWKV\n"
ALIGNMENT = 64

_PREFIX = struct.Struct("<8sII")
_SIGNED_PREFIX = struct.Struct("<8sI")  # the part of the prefix before its checksum

DTYPES: dict[str, torch.dtype] = {
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


def write_blob(head: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Give the blob of tensors on any device.

    Args:
        head: What the header says besides.
        tensors: By name.

    Raises:
        ValueError: A tensor's dtype has no place in the format.
    """
    entries: list[dict[str, Any]] = []
    parts: list[bytes | memoryview] = []
    offset = 0
    for name, tensor in tensors.items():
        raw = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
        entries.append(
            {
                "name": name,
                "shape": list(tensor.shape),
                "dtype": dtype_name(tensor.dtype),
                "offset": offset,
                "length": raw.nbytes,
            }
        )
        gap = bytes(-raw.nbytes % ALIGNMENT)
        parts += [raw.numpy().data, gap]
        offset += raw.nbytes + len(gap)
    header: bytes = msgpack.packb({"format": FORMAT, **head, "tensors": entries})
    parts = [header, bytes(-(_PREFIX.size + len(header)) % ALIGNMENT), *parts]
    checksum = crc32(_SIGNED_PREFIX.pack(MAGIC, len(header)))
    for part in parts:
        checksum = crc32(part, checksum)
    return b"".join([_PREFIX.pack(MAGIC, len(header), checksum), *parts])


def dtype_name(dtype: torch.dtype) -> str:
    """Give a dtype's name in the format.

    Raises:
        ValueError: It has none.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"no tensor of dtype {name} goes into a blob")
    return name


def read_blob(
    blob: bytes, expected: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Give the header and the tensors of a blob that proves itself, on the CPU.

    The tensors lie in the blob itself: they must not be written to.

    Args:
        blob: As `write_blob` gave it.
        expected: What its header must say.

    Raises:
        ValueError: It is cut off, altered, of another version, or not as expected.
        KeyError: Its header lacks something.
    """
    view = memoryview(blob)
    if len(view) < _PREFIX.size:
        raise ValueError(f"cut off after {len(view)} bytes")
    magic, header_length, checksum = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise ValueError("not a blob of Longwatch")
    found = crc32(view[: _SIGNED_PREFIX.size])
    if crc32(view[_PREFIX.size :], found) != checksum:
        raise ValueError("checksum does not hold")
    end = _PREFIX.size + header_length
    header = msgpack.unpackb(view[_PREFIX.size : end])
    if header["format"] != FORMAT:
        raise ValueError(f"format version {header['format']}, expected {FORMAT}")
    for key, value in expected.items():
        if header[key] != value:
            raise ValueError(f"{key} is {header[key]}, expected {value}")
    body = view[end + -end % ALIGNMENT :]
    length = sum(e["length"] + -e["length"] % ALIGNMENT for e in header["tensors"])
    if len(body) != length:
        raise ValueError(f"{len(body)} bytes of tensors, expected {length}")
    return header, {e["name"]: _read_tensor(e, body) for e in header["tensors"]}


def _read_tensor(entry: dict[str, Any], body: memoryview) -> Tensor:
    dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
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
