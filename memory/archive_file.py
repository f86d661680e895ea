"""Chunks and gaps in a file: to carry them elsewhere, or to keep them.

A stream of records, each with its checksum, and one at the end that says how many there
were: no byte can be altered and no record lost unnoticed. The layout is told in
`docs/protocol.md`. Blobs are carried as they are; they prove themselves where they are
read.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from memory.errors import DamagedFileError
from memory.gaps import MAX_GAPS, Gap
from memory.kv import ChunkId, Level
from memory.redis_archive import LONGEST_CHUNK_MS

_MAGIC = b"LONGWEX3"
_HEAD = struct.Struct("<II")  # length of the payload, CRC-32 of that and the payload
_LENGTH = struct.Struct("<I")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNFINISHED = ".part"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A chunk on its way.

    Attributes:
        model: Fingerprint of the model that made it.
        chunk: The chunk.
        blobs: Those that there are; of its H-KV at least.
    """

    model: str
    chunk: ChunkId
    blobs: Mapping[Level, bytes]


@dataclass(frozen=True, slots=True)
class CameraGaps:
    """When a camera was not watched, on its way.

    Attributes:
        camera: The camera.
        gaps: Those that are carried.
    """

    camera: str
    gaps: tuple[Gap, ...]


class ArchiveWriter:
    """Writes records to a file that is there once it is whole.

    The methods block on the disk. After `open` comes `close`, whatever happens; without
    `finish` before it there is no file.

    Args:
        path: The file.

    Attributes:
        count: Records written so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + _UNFINISHED)
        self._file: BinaryIO
        self.count = 0

    def open(self) -> None:
        """Begin the file."""
        self._file = self._unfinished.open("wb")
        self._file.write(_MAGIC)

    def write(self, record: Record | CameraGaps) -> None:
        """Write a chunk, or a camera's gaps."""
        match record:
            case Record(model, chunk, blobs):
                body = {"camera": chunk.camera, "model": model, "chunk": chunk.name}
                named = {level.value: blob for level, blob in blobs.items()}
                self._write(body | {"blobs": named})
            case CameraGaps(camera, gaps):
                self._write({"camera": camera, "gaps": [gap.name for gap in gaps]})
        self.count += 1

    def finish(self) -> None:
        """End the file, and give it its name."""
        self._write({"records": self.count})
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unfinished.replace(self._path)

    def close(self) -> None:
        """Close the file, and remove what is unfinished."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def _write(self, body: dict[str, Any]) -> None:
        payload: bytes = msgpack.packb(body)
        length = _LENGTH.pack(len(payload))
        checksum = zlib.crc32(payload, zlib.crc32(length))
        self._file.write(_HEAD.pack(len(payload), checksum))
        self._file.write(payload)


def read_records(path: Path) -> Iterator[Record | CameraGaps]:
    """Read a file's records one by one.

    Raises:
        DamagedFileError: It is cut off, altered, or no such file; records are counted
            from 1. What was given before is good.
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DamagedFileError(path, 1, "not a file of exported chunks")
        count = 0
        while True:
            try:
                body = _read(file)
                if "records" in body:
                    _check_end(body, count, file)
                    return
                record = _gaps(body) if "gaps" in body else _record(body)
            except (ValueError, TypeError, KeyError, AttributeError) as exc:
                raise DamagedFileError(path, count + 1, str(exc)) from exc
            count += 1
            yield record


def count_records(path: Path) -> int:
    """Read a whole file and count its chunks, raising as `read_records` does."""
    return sum(1 for _ in read_records(path))


def _read(file: BinaryIO) -> dict[str, Any]:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise ValueError("cut off")
    length, checksum = _HEAD.unpack(head)
    payload = file.read(length)
    if len(payload) < length:
        raise ValueError("cut off")
    if zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length))) != checksum:
        raise ValueError("checksum does not hold")
    body: dict[str, Any] = msgpack.unpackb(payload)
    return body


def _record(body: dict[str, Any]) -> Record:
    _check_names(body["camera"], body["model"])
    chunk = ChunkId.parse(body["camera"], body["chunk"])
    if not chunk.is_chunk or chunk.end_ms - chunk.start_ms > LONGEST_CHUNK_MS:
        raise ValueError("no chunk, or one that is longer than an hour")
    blobs = {Level(level): blob for level, blob in body["blobs"].items()}
    if Level.HIGH not in blobs or not all(isinstance(b, bytes) for b in blobs.values()):
        raise TypeError("no blobs")
    return Record(body["model"], chunk, blobs)


def _gaps(body: dict[str, Any]) -> CameraGaps:
    _check_names(body["camera"])
    gaps = tuple(map(Gap.parse, body["gaps"]))
    if len(gaps) > MAX_GAPS or not all(0 <= g.start_ms < g.end_ms for g in gaps):
        raise ValueError("too many gaps, or one that ends before it begins")
    _check_names(*(gap.reason for gap in gaps))
    return CameraGaps(body["camera"], gaps)


def _check_names(*names: str) -> None:
    """Take nothing for a part of a key that could be one of another's keys."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"found the name {name!r}")


def _check_end(body: dict[str, Any], count: int, file: BinaryIO) -> None:
    if body["records"] != count:
        raise ValueError(f"{body['records']} records were written, {count} are here")
    if file.read(1):
        raise ValueError("there is more behind the end")
