"""The spool: chunks that wait on disk until the archive takes them.

An archive that is away must not cost what was seen meanwhile. A file is either whole or
not there, so that a kill at any instant leaves nothing to repair. The queue's bound is
in bytes and its policy is to drop the oldest chunk, counted in `dropped`.
"""

import logging
import os
import struct
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

import msgpack

from memory.errors import ArchiveFullError, ChunkNotFoundError, CorruptChunkError
from memory.kv import ChunkId, Level

logger = logging.getLogger(__name__)

_MAGIC = b"LONGWSP2"
_HEAD = struct.Struct("<8sI")  # magic, CRC-32 of the rest: a msgpack map of the blobs
_SUFFIX, _UNFINISHED = ".chunk", ".part"


class Spool:
    """Keeps chunks in a directory, one file each, oldest first.

    Opening one makes the directory and removes what a killed writer left unfinished.
    The methods block on the disk, so the event loop calls them (and this) in a thread;
    they may run in several threads at once. One process at a time owns the directory.

    Args:
        directory: Where the files are.
        max_bytes: Bound on the sum of their sizes.

    Attributes:
        dropped: Chunks lost since opening: dropped to make room, or torn.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.dropped = 0
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"*{_UNFINISHED}"):
            leftover.unlink()

    def append(self, chunk: ChunkId, blobs: Mapping[Level, bytes]) -> None:
        """Keep a chunk on disk, dropping the oldest ones if there is no room.

        Once this returns the chunk survives a power cut.

        Raises:
            ArchiveFullError: The chunk alone is over the bound, or the disk refuses.
        """
        content: bytes = msgpack.packb({lv.value: blob for lv, blob in blobs.items()})
        needed = _HEAD.size + len(content)
        if needed > self._max_bytes:
            raise ArchiveFullError(
                f"a chunk of {needed} bytes is over the spool's {self._max_bytes}"
            )
        with self._lock:
            path = self._path(chunk)
            try:
                self._make_room(needed, path)
                self._write(path, content)
            except OSError as exc:
                path.with_suffix(_UNFINISHED).unlink(missing_ok=True)
                raise ArchiveFullError(f"the spool can't store: {exc}") from exc

    def pending(self) -> list[ChunkId]:
        """Give back the chunks that wait, in time order; leave foreign files alone."""
        chunks = (_chunk_of(path) for path in self._files())
        return [chunk for chunk in chunks if chunk is not None]

    def read(self, chunk: ChunkId) -> dict[Level, bytes]:
        """Give back a chunk's blobs.

        Raises:
            ChunkNotFoundError: It does not wait here.
            CorruptChunkError: Its file is torn. The file is removed, and counted as
                dropped, so that it does not hold up the chunks behind it.
        """
        try:
            content = memoryview(self._path(chunk).read_bytes())
        except FileNotFoundError as exc:
            raise ChunkNotFoundError(chunk, Level.LOW) from exc
        if len(content) >= _HEAD.size:
            magic, checksum = _HEAD.unpack_from(content)
            blobs = content[_HEAD.size :]
            if magic == _MAGIC and zlib.crc32(blobs) == checksum:
                found = msgpack.unpackb(blobs)
                return {Level(level): blob for level, blob in found.items()}
        self.remove(chunk)
        self.dropped += 1
        raise CorruptChunkError(chunk, "torn in the spool")

    def remove(self, chunk: ChunkId) -> None:
        """Remove a chunk, if it is there."""
        with self._lock:
            self._path(chunk).unlink(missing_ok=True)

    def _path(self, chunk: ChunkId) -> Path:
        camera = quote(chunk.camera, safe="")
        return self._directory / f"{chunk.name}.{camera}{_SUFFIX}"

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{_SUFFIX}"))

    def _make_room(self, needed: int, replaced: Path) -> None:
        sizes = {path: path.stat().st_size for path in self._files()}
        sizes.pop(replaced, None)
        free = self._max_bytes - sum(sizes.values())
        for path, size in sizes.items():
            if free >= needed:
                return
            path.unlink()
            free += size
            self.dropped += 1
            logger.warning(
                "spool is full, dropped its oldest chunk %s",
                path.stem,
                extra={"dropped": self.dropped, "freed_bytes": size},
            )

    def _write(self, path: Path, content: bytes) -> None:
        unfinished = path.with_suffix(_UNFINISHED)
        with unfinished.open("wb") as file:
            file.write(_HEAD.pack(_MAGIC, zlib.crc32(content)))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _chunk_of(path: Path) -> ChunkId | None:
    name, _, camera = path.stem.partition(".")
    try:
        return ChunkId.parse(unquote(camera), name)
    except ValueError:
        return None
