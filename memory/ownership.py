"""One agent per data directory: the spool in it has one owner."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from memory.errors import ArchiveInUseError, ArchiveUnavailableError


@asynccontextmanager
async def owned(directory: Path) -> AsyncIterator[None]:
    """Keep other agents out of a directory, which is made if missing.

    The kernel frees it when this process ends, however it ends.

    Raises:
        ArchiveInUseError: Another agent owns it.
        ArchiveUnavailableError: It can't be made or written to.
    """
    try:
        await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
        # Not in a thread: a lock taken after a cancellation would stay taken.
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ArchiveUnavailableError(f"no data directory: {exc}") from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ArchiveInUseError(directory) from exc
        yield
    finally:
        os.close(lock)
