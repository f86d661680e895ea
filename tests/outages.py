"""What an archive's server suffers in tests, and the task that notices its end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import Redis
from servers import RedisServer

from memory.store import MemoryStore


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    """Have a server take connections and never answer."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def set_room(server: RedisServer, max_bytes: int) -> None:
    """Let a server store so much: 1 for nothing more, 0 for no bound."""
    async with Redis.from_url(server.url) as client:
        await client.config_set("maxmemory", max_bytes)


async def count_keys(server: RedisServer) -> int:
    async with Redis.from_url(server.url) as client:
        count: int = await client.dbsize()
    return count


@asynccontextmanager
async def replaying(store: MemoryStore) -> AsyncIterator[None]:
    """Run the task that carries the spool, as the agent does."""
    task = asyncio.create_task(store.replay_spool())
    try:
        yield
    finally:
        task.cancel()
