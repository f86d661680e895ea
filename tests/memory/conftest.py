"""An archive on each kind of server in turn."""

from collections.abc import AsyncIterator

import pytest
from archived import MODEL

from memory.redis_archive import RedisArchive


@pytest.fixture
async def archive(archive_url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    async with RedisArchive(archive_url, model=MODEL, prefix=prefix) as archive:
        yield archive
