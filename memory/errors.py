"""What can go wrong in memory, grouped by what the caller can do.

MemoryStoreError
├── ArchiveUnavailableError   retry: the archive does not answer
│   └── ArchiveRefusesError   retry: it answers, and refuses
├── ArchiveFullError          retry later: the archive or the spool can't store more
├── ArchiveInUseError         give up: another agent owns the data directory
├── ChunkNotFoundError        skip: the chunk or this level of it is not there
├── CorruptChunkError         skip: the blob does not prove itself
├── ModelMismatchError        skip: the blob was made by another model
└── DamagedFileError          give up: a file of exported chunks is not whole
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # naming an error must not load torch
    from memory.kv import ChunkId, Level


class MemoryStoreError(Exception):
    """Base of all errors of this package."""


class ArchiveUnavailableError(MemoryStoreError):
    """Raised when the archive can't be reached or does not answer in time."""

    code = "archive_unavailable"


class ArchiveRefusesError(ArchiveUnavailableError):
    """Raised when the archive answers, and refuses for another reason than room."""


class ArchiveFullError(MemoryStoreError):
    """Raised when the archive is out of memory and refuses to store a chunk."""


class ArchiveInUseError(MemoryStoreError):
    """Raised when another running agent owns the directory of an embedded archive."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(f"another agent is using {directory}")


class ChunkNotFoundError(MemoryStoreError, LookupError):
    """Raised when a chunk, or the level asked for, is not in the archive."""

    def __init__(self, chunk: "ChunkId", level: "Level") -> None:
        self.chunk, self.level = chunk, level
        super().__init__(f"{level.name} of {chunk.camera}/{chunk.name} is not archived")


class CorruptChunkError(MemoryStoreError, ValueError):
    """Raised when a blob is cut off, altered, or of an unknown format version."""

    def __init__(self, chunk: "ChunkId", fault: str) -> None:
        self.chunk, self.fault = chunk, fault
        super().__init__(f"blob of {chunk.camera}/{chunk.name}: {fault}")


class ModelMismatchError(MemoryStoreError, ValueError):
    """Raised when a blob was made by a model other than the one that reads it."""

    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(f"blob of model {found}, expected {expected}")


class DamagedFileError(MemoryStoreError, ValueError):
    """Raised when a file of exported chunks is cut off, altered, or another kind."""

    def __init__(self, path: Path, number: int, fault: str) -> None:
        self.path, self.number, self.fault = path, number, fault
        super().__init__(f"{path}, record {number}: {fault}")
