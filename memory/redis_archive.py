"""The archive: blobs of chunks in Redis, Valkey, Kvrocks or a Redis Cluster.

The only user of `redis`. A chunk exists once its entry is in its camera's timeline, and
that entry is written last, in the transaction that writes the blobs. The camera is the
hash tag of its keys, so the transaction holds in a cluster too; the model is part of
the key, so that the chunks of another model are neither read nor overwritten. The keys
are told in `docs/protocol.md`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
    ChunkNotFoundError,
    MemoryStoreError,
)
from memory.kv import ChunkId, Level

LONGEST_CHUNK_MS = 3_600_000
"""No chunk is longer; what overlaps a time starts at most this long before it."""

_CONNECTIONS = 4  # more don't load blobs faster, they only queue in the server's thread
_RETRIES = 2
_FORGET_AT_ONCE = 256  # chunks per transaction, which the server runs in one go

_Command = tuple[str | int | memoryview, ...]


class RedisArchive:
    """Keeps the blobs of one model's chunks, and the order of their times.

    An async context manager. Entering it does not wait for the server, so that an agent
    can start while its archive is away; every method then raises
    `ArchiveUnavailableError` until the server is there, and works again once it is.

    Args:
        url: `redis://`, `rediss://` or `unix://`; several hosts, separated by commas,
            or `redis+cluster://` for a cluster. Entering raises ValueError for others.
        model: Fingerprint of the model whose chunks are read and written.
        prefix: First part of every key.
        timeout_s: Bound on every operation, waiting and retries included.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        prefix: str = "longwatch",
        timeout_s: float = 5.0,
    ) -> None:
        self._url = url
        self._model = model
        self._prefix = prefix
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

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            ArchiveUnavailableError: It does not.
        """
        async with self._turn() as client:
            await client.ping()

    async def put(self, chunk: ChunkId, high: bytes, low: bytes) -> None:
        """Store both blobs of a chunk, or nothing; the same again changes nothing.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time. The chunk may
                have been stored; storing it again is harmless.
            ArchiveFullError: The server can't store more.
            ValueError: The chunk is longer than `LONGEST_CHUNK_MS`.
        """
        if chunk.end_ms - chunk.start_ms > LONGEST_CHUNK_MS:
            raise ValueError(f"{chunk} is longer than {LONGEST_CHUNK_MS} ms")
        # As memoryviews: the client spells out a refused command in its error, bytes
        # too, which takes a second for every 5 MB.
        await self._transact(
            [
                ("SET", self._blob_key(chunk, Level.HIGH), memoryview(high)),
                ("SET", self._blob_key(chunk, Level.LOW), memoryview(low)),
                ("SADD", self._models_key(chunk.camera), self._model),
                ("ZADD", self._timeline_key(chunk.camera), chunk.start_ms, chunk.name),
            ]
        )

    async def get(self, chunk: ChunkId, level: Level) -> bytes:
        """Give back one blob of a chunk, unverified: `codec` does that.

        Raises:
            ChunkNotFoundError: There is no such blob, whatever the timeline says.
            ArchiveUnavailableError: The server can't be reached in time.
        """
        async with self._turn() as client:
            blob: bytes | None = await client.get(self._blob_key(chunk, level))
        if blob is None:
            raise ChunkNotFoundError(chunk, level)
        return blob

    async def get_many(
        self, requests: Sequence[tuple[ChunkId, Level]]
    ) -> list[bytes | MemoryStoreError]:
        """Give back, for each request in its place, the blob or why there is none.

        Blobs are loaded side by side over a few connections: one command for all of
        them would hold up everybody else's until the last byte is sent.
        """
        async with asyncio.TaskGroup() as group:
            loads = [group.create_task(self._get_or_error(*each)) for each in requests]
        return [load.result() for load in loads]

    async def timeline(
        self, camera: str, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[ChunkId]:
        """Give back the chunks that overlap [start_ms, end_ms), in time order.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time.
        """
        earliest = "-inf" if start_ms is None else start_ms - LONGEST_CHUNK_MS
        latest = "+inf" if end_ms is None else f"({end_ms}"
        key = self._timeline_key(camera)
        async with self._turn() as client:
            names = await client.zrangebyscore(key, earliest, latest)
        chunks = [ChunkId.parse(camera, name.decode()) for name in names]
        return [c for c in chunks if start_ms is None or c.end_ms > start_ms]

    async def delete(self, chunk: ChunkId, level: Level) -> None:
        """Delete one blob of a chunk, if there; the chunk stays in the timeline.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time.
        """
        async with self._turn() as client:
            await client.unlink(self._blob_key(chunk, level))

    async def forget(self, camera: str, before_ms: int) -> int:
        """Delete the camera's chunks that ended by `before_ms`, and count them.

        Forgetting is about what was seen: the chunks of other models go too.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time; what is gone
                by then is gone from timeline and blobs alike.
        """
        async with self._turn() as client:
            models = await client.smembers(self._models_key(camera))
        return sum([await self._forget(camera, m.decode(), before_ms) for m in models])

    async def other_models(self, camera: str) -> list[str]:
        """Give back the other models that the archive keeps chunks of, sorted.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time.
        """
        async with self._turn() as client:
            models = await client.smembers(self._models_key(camera))
            others = sorted({model.decode() for model in models} - {self._model})
            return [
                model
                for model in others
                if await client.exists(self._timeline_key(camera, model))
            ]

    async def _get_or_error(
        self, chunk: ChunkId, level: Level
    ) -> bytes | MemoryStoreError:
        try:
            return await self.get(chunk, level)
        except MemoryStoreError as exc:
            return exc

    async def _forget(self, camera: str, model: str, before_ms: int) -> int:
        timeline = self._timeline_key(camera, model)
        async with self._turn() as client:
            ended = await client.zrangebyscore(timeline, "-inf", f"({before_ms}")
        chunks = [ChunkId.parse(camera, name.decode()) for name in ended]
        over = [chunk for chunk in chunks if chunk.end_ms <= before_ms]
        for i in range(0, len(over), _FORGET_AT_ONCE):
            some = over[i : i + _FORGET_AT_ONCE]
            blobs = [self._blob_key(c, level, model) for c in some for level in Level]
            names = [chunk.name for chunk in some]
            await self._transact([("ZREM", timeline, *names), ("UNLINK", *blobs)])
        return len(over)

    async def _transact(self, commands: list[_Command]) -> None:
        """Have the server run all of the commands or none."""
        async with self._turn() as client, client.pipeline(transaction=True) as pipe:
            # A cluster's pipeline waits for a thread at each command it is given.
            await asyncio.to_thread(_queue, pipe, commands)
            await pipe.execute()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Any]:
        """Lend the client to one operation, in time, and name its errors."""
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                yield self._client
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

    def _models_key(self, camera: str) -> str:
        return f"{self._prefix}:{{{camera}}}:models"

    def _timeline_key(self, camera: str, model: str | None = None) -> str:
        return f"{self._prefix}:{{{camera}}}:{model or self._model}:timeline"

    def _blob_key(self, chunk: ChunkId, level: Level, model: str | None = None) -> str:
        of_model = f"{self._prefix}:{{{chunk.camera}}}:{model or self._model}"
        return f"{of_model}:{level.value}:{chunk.name}"


def _queue(pipe: Any, commands: list[_Command]) -> None:
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
