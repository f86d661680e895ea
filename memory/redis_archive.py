"""The archive: blobs of one model's chunks, and the order of their times.

A chunk exists once its entry is in its camera's timeline, and that entry is written
last, in the transaction that writes the blobs and their sizes. So what the archive
holds is known without reading it. L-KV alone may be given a time to live: a server
that evicts what has one then evicts L-KV, never H-KV or a timeline. The keys are told
in `docs/protocol.md`.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Self

from memory.archive_keys import ArchiveKeys, entry
from memory.errors import ChunkNotFoundError, MemoryStoreError
from memory.kv import ChunkId, Level
from memory.redis_connection import Command, RedisConnection
from memory.retention import Booked, Freed

LONGEST_CHUNK_MS = 3_600_000
"""No chunk is longer; what overlaps a time starts at most this long before it."""

FINE = (Level.LOW, Level.PICTURE)  # what goes first: a chunk stays without it
_AT_ONCE = 256  # chunks per transaction, which the server runs in one go


class RedisArchive:
    """Keeps the blobs of one model's chunks, and the order of their times.

    An async context manager. Entering it does not wait for the server, so that an agent
    can start while its archive is away; every method then raises
    `ArchiveUnavailableError` until the server is there, and works again once it is.

    Args:
        url: As `RedisConnection` takes it.
        model: Fingerprint of the model whose chunks are read and written.
        prefix: First part of every key.
        timeout_s: Bound on every operation, waiting and retries included.
        low_ttl_s: Time to live of L-KV, None for no end.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        prefix: str = "longwatch",
        timeout_s: float = 5.0,
        low_ttl_s: float | None = None,
    ) -> None:
        self.model = model
        self.keys = ArchiveKeys(prefix)
        self.redis = RedisConnection(url, timeout_s)
        self._low_ttl = () if low_ttl_s is None else ("PX", round(low_ttl_s * 1000))

    async def __aenter__(self) -> Self:
        await self.redis.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.redis.__aexit__(exc_type, exc, traceback)

    def of_model(self, model: str) -> "RedisArchive":
        """Give the same archive for another model's chunks, on the same connections."""
        other = copy(self)
        other.model = model
        return other

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            ArchiveUnavailableError: It does not. All other methods raise it likewise,
                when the server can't be reached in time.
        """
        async with self.redis.turn() as client:
            await client.ping()

    async def put(self, chunk: ChunkId, blobs: Mapping[Level, bytes]) -> None:
        """Store a chunk's blobs, or nothing; the same again changes nothing.

        Args:
            chunk: The chunk, or a node.
            blobs: Of its H-KV, and of its L-KV and its index keys as far as there are.

        Raises:
            ArchiveUnavailableError: The server can't be reached in time. The chunk may
                have been stored; storing it again is harmless.
            ArchiveFullError: The server can't store more.
            ValueError: The chunk is longer than `LONGEST_CHUNK_MS`.
        """
        if chunk.is_chunk and chunk.end_ms - chunk.start_ms > LONGEST_CHUNK_MS:
            raise ValueError(f"{chunk} is longer than {LONGEST_CHUNK_MS} ms")
        # As memoryviews: the client spells out a refused command in its error, bytes
        # too, which takes a second for every 5 MB.
        commands: list[Command] = []
        sizes: list[str | int] = []
        for level, blob in blobs.items():
            ttl = self._low_ttl if level in FINE else ()
            commands.append(("SET", self._blob(chunk, level), memoryview(blob), *ttl))
            sizes += [entry(chunk, level), len(blob)]
        commands.append(("HSET", self.keys.book(chunk.camera, self.model), *sizes))
        await self.redis.transact([*commands, *self.listing(chunk)])

    async def get(self, chunk: ChunkId, level: Level) -> bytes:
        """Give back one blob of a chunk, unverified: `codec` does that.

        Raises:
            ChunkNotFoundError: There is no such blob, whatever the timeline says.
            ArchiveUnavailableError: The server can't be reached in time.
        """
        async with self.redis.turn() as client:
            blob: bytes | None = await client.get(self._blob(chunk, level))
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

    async def get_small(
        self, chunks: Sequence[ChunkId], level: Level
    ) -> list[bytes | MemoryStoreError]:
        """Give back small blobs of one level, as `get_many`, a camera's in one go."""
        found: dict[ChunkId, bytes | MemoryStoreError | None] = {}
        for camera in {chunk.camera for chunk in chunks}:
            own = [c for c in chunks if c.camera == camera]
            keys = [self._blob(c, level) for c in own]
            try:
                async with self.redis.turn() as client:
                    found |= zip(own, await client.mget(keys), strict=True)
            except MemoryStoreError as exc:
                found |= dict.fromkeys(own, exc)
        return [found[c] or ChunkNotFoundError(c, level) for c in chunks]

    async def timeline(
        self, camera: str, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[ChunkId]:
        """Give back the chunks that overlap [start_ms, end_ms), in time order."""
        earliest = "-inf" if start_ms is None else start_ms - LONGEST_CHUNK_MS
        latest = "+inf" if end_ms is None else f"({end_ms}"
        key = self.keys.timeline(camera, self.model)
        async with self.redis.turn() as client:
            names = await client.zrangebyscore(key, earliest, latest)
        chunks = await asyncio.to_thread(_parse, camera, names)
        return [chunk for chunk in chunks if chunk.overlaps(start_ms, end_ms)]

    async def nodes(self, camera: str) -> list[ChunkId]:
        """Give back the nodes of many chunks, in the order of their starts."""
        async with self.redis.turn() as client:
            key = self.keys.nodes(camera, self.model)
            names = await client.zrangebyscore(key, "-inf", "+inf")
        return await asyncio.to_thread(_parse, camera, names)

    async def keeps(self, chunk: ChunkId) -> bool:
        """Tell whether a chunk is in the timeline, or a node among the nodes."""
        key = self.keys.listing(chunk, self.model)
        async with self.redis.turn() as client:
            return await client.zscore(key, chunk.name) is not None

    async def delete(self, chunk: ChunkId, level: Level) -> None:
        """Delete one blob of a chunk, if there; the chunk stays in the timeline."""
        await self._erase([chunk], [level])

    async def retire_lows(self, chunks: Sequence[ChunkId]) -> Freed:
        """Delete L-KV and pictures of a camera's chunks; they stay in the timeline."""
        num_bytes = sum([await self._erase(c, FINE) for c in _batches(chunks)])
        return Freed(num_lows=len(chunks), num_bytes=num_bytes)

    async def remove(self, chunks: Sequence[ChunkId]) -> Freed:
        """Delete a camera's chunks whole, or nodes."""
        num_bytes = 0
        for some in _batches(chunks):
            camera, names = some[0].camera, [chunk.name for chunk in some]
            unlisting = [
                ("ZREM", key(camera, self.model), *names)
                for key in (self.keys.timeline, self.keys.nodes)
            ]
            num_bytes += await self._erase(some, list(Level), unlisting)
        num_chunks = sum(chunk.is_chunk for chunk in chunks)
        return Freed(num_chunks=num_chunks, num_bytes=num_bytes)

    async def forget(self, camera: str, before_ms: int) -> Freed:
        """Delete the camera's chunks that ended by `before_ms`, and count them.

        So go nodes that have anything of them, and the chunks of other models. If the
        server can't be reached, what is gone is gone from timeline and blobs alike.
        """
        freed = Freed()
        for model in await self.models(camera):
            archive = self.of_model(model)
            chunks = await archive.timeline(camera, None, before_ms)
            over = [chunk for chunk in chunks if chunk.end_ms <= before_ms]
            nodes = await archive.nodes(camera)
            over += [node for node in nodes if node.start_ms < before_ms]
            freed += await archive.remove(over)
        return freed

    async def cameras(self) -> list[str]:
        """Give back all cameras that chunks were ever archived of, sorted."""
        keys = await self.redis.scan(self.keys.pattern("models"))
        return sorted(map(self.keys.camera_of, keys))

    async def models(self, camera: str) -> list[str]:
        """Give back the models that the archive keeps chunks of a camera of, sorted."""
        async with self.redis.turn() as client:
            models = await client.smembers(self.keys.models(camera))
            named = sorted(model.decode() for model in models)
            keys = self.keys.timeline, self.keys.nodes
            return [
                model
                for model in named
                if await client.exists(*(key(camera, model) for key in keys))
            ]

    async def booked(self, camera: str) -> list[Booked]:
        """Give back what the book says of a camera's chunks, oldest first."""
        sizes = await self.redis.read_hash(self.keys.book(camera, self.model))
        return await asyncio.to_thread(Booked.read, camera, self.model, sizes)

    async def size(self, camera: str) -> int:
        """Give back the bytes of a camera's chunks, by the book."""
        async with self.redis.turn() as client:
            return sum(map(int, await client.hvals(self.keys.book(camera, self.model))))

    async def evicted(self, chunks: Sequence[ChunkId]) -> list[ChunkId]:
        """Give back those of a camera's chunks whose L-KV is not there."""
        gone: list[ChunkId] = []
        for some in _batches(chunks):
            keys = [self._blob(chunk, Level.LOW) for chunk in some]
            async with self.redis.turn() as client:
                if await client.execute_command("EXISTS", *keys) == len(keys):
                    continue
            there = await self.redis.transact([("EXISTS", key) for key in keys])
            gone += [c for c, is_there in zip(some, there, strict=True) if not is_there]
        return gone

    def listing(self, chunk: ChunkId) -> list[Command]:
        """Give the commands that end a transaction about a chunk which is to exist."""
        return [
            ("SADD", self.keys.models(chunk.camera), self.model),
            ("ZADD", self.keys.listing(chunk, self.model), chunk.start_ms, chunk.name),
        ]

    async def _get_or_error(
        self, chunk: ChunkId, level: Level
    ) -> bytes | MemoryStoreError:
        try:
            return await self.get(chunk, level)
        except MemoryStoreError as exc:
            return exc

    async def _erase(
        self,
        chunks: Sequence[ChunkId],
        levels: Sequence[Level],
        commands: Sequence[Command] = (),
    ) -> int:
        """Delete blobs and strike them from the book; give their bytes by it.

        Args:
            chunks: Chunks of one camera.
            levels: Which blobs of each.
            commands: What the transaction does besides, first.
        """
        book = self.keys.book(chunks[0].camera, self.model)
        fields = [entry(chunk, level) for chunk in chunks for level in levels]
        blobs = [self._blob(chunk, level) for chunk in chunks for level in levels]
        striking = [("HMGET", book, *fields), ("HDEL", book, *fields)]
        *_, sizes, _, _ = await self.redis.transact(
            [*commands, *striking, ("UNLINK", *blobs)]
        )
        return sum(int(size) for size in sizes if size)

    def _blob(self, chunk: ChunkId, level: Level) -> str:
        return self.keys.blob(chunk, level, self.model)


def _parse(camera: str, names: Sequence[bytes]) -> list[ChunkId]:
    return [ChunkId.parse(camera, name.decode()) for name in names]


def _batches(chunks: Sequence[ChunkId]) -> Iterator[Sequence[ChunkId]]:
    return (chunks[n : n + _AT_ONCE] for n in range(0, len(chunks), _AT_ONCE))
