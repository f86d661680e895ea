"""The connection to Redis, Valkey, Kvrocks or a Redis Cluster, and what can go wrong.

The only user of `redis`: its errors leave here as those of this package. A few
connections are shared by all who wait for the server; one that was left in the middle
of a reply is closed, never lent again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.exceptions import (
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from memory.errors import (
    ArchiveFullError,
    ArchiveRefusesError,
    ArchiveUnavailableError,
)

Command = Sequence[str | int | memoryview]

_CONNECTIONS = 4  # more don't load blobs faster, they only queue in the server's thread
_RETRIES = 2
_SCAN_COUNT = 1000  # keys or fields that a server looks at in one go


class RedisConnection:
    """A client of the archive's server, or of its cluster.

    An async context manager. Entering it does not wait for the server.

    Args:
        url: `redis://`, `rediss://` or `unix://`; several hosts, separated by commas,
            or `redis+cluster://` for a cluster. Entering raises ValueError for others.
        timeout_s: Bound on every operation, waiting and retries included.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._client: Redis | RedisCluster

    async def __aenter__(self) -> Self:
        # Building a client reads package metadata from disk.
        self._client = await asyncio.to_thread(_connect, self._url, self._timeout_s)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Any]:
        """Lend the client to one operation, in time, and name its errors.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time.
            ArchiveRefusesError: It answers, and refuses.
            ArchiveFullError: It can't store more.
        """
        with self._named_errors():
            async with asyncio.timeout(self._timeout_s), self._turns:
                yield self._client

    async def transact(self, commands: Sequence[Command]) -> list[Any]:
        """Have the server run all of the commands or none; give their replies.

        Raises:
            ArchiveUnavailableError: As for `turn`; they may have been run.
            ArchiveFullError: As for `turn`.
        """
        async with self.turn() as client, client.pipeline(transaction=True) as pipe:
            if isinstance(client, RedisCluster):
                # Its pipeline waits for a thread at each command it is given.
                await asyncio.to_thread(_queue, pipe, commands)
            else:
                _queue(pipe, commands)
            replies: list[Any] = await pipe.execute()
            return replies

    async def scan(self, pattern: str) -> set[str]:
        """Give the keys that match a pattern, in a cluster those of all nodes.

        Takes as long as it takes, bit by bit; only each bit has to come in time.

        Raises:
            ArchiveUnavailableError: As for `turn`.
        """
        with self._named_errors():
            async with self._turns:
                keys = self._client.scan_iter(match=pattern, count=_SCAN_COUNT)
                return {key.decode() async for key in keys}

    async def read_hash(self, key: str) -> dict[bytes, bytes]:
        """Give all fields of a hash, read as `scan` reads keys.

        Raises:
            ArchiveUnavailableError: As for `turn`.
        """
        with self._named_errors():
            async with self._turns:
                fields = self._client.hscan_iter(key, count=_SCAN_COUNT)
                return {name: value async for name, value in fields}

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OutOfMemoryError as exc:
            raise ArchiveFullError("the archive is out of memory") from exc
        except ResponseError as exc:
            if "MISCONF" in str(exc):  # it can't write its files
                raise ArchiveFullError("the archive can't write to disk") from exc
            raise ArchiveRefusesError(f"the archive refuses: {exc}") from exc
        except TimeoutError as exc:
            late = f"the archive did not answer in {self._timeout_s} s"
            raise ArchiveUnavailableError(late) from exc
        except (RedisError, RedisClusterException, OSError) as exc:
            raise ArchiveUnavailableError(f"no archive: {exc}") from exc


def _queue(pipe: Any, commands: Sequence[Command]) -> None:
    for command in commands:
        pipe.execute_command(*command)


def _connect(url: str, timeout_s: float) -> Redis | RedisCluster:
    """Give back a client for a URL; it connects when first used."""
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(FullJitterBackoff(cap=0.5, base=0.05), _RETRIES),
        "driver_info": None,  # else each new connection reads package metadata
    }
    scheme, _, rest = url.partition("://")
    scheme, _, kind = scheme.partition("+")
    if scheme == "unix" or (kind != "cluster" and "," not in rest):
        return Redis.from_url(url, **options)
    login, _, hosts = rest.rpartition("@")
    user, _, password = login.partition(":")
    nodes = [urlsplit(f"//{host}") for host in hosts.strip("/").split(",")]
    return RedisCluster(
        startup_nodes=[ClusterNode(n.hostname or "", n.port or 6379) for n in nodes],
        username=unquote(user) or None,
        password=unquote(password) or None,
        ssl=scheme == "rediss",
        **options,
    )
