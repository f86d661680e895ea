"""What tests of the archive share: chunks by their second, and a server's word."""

from collections.abc import Awaitable, Callable

from waiting import until

from memory.kv import ChunkId, Level, Tier
from memory.redis_archive import RedisArchive

MODEL = "ab12cd34"


def chunk_at(second: int, camera: str = "door", length_s: int = 1) -> ChunkId:
    return ChunkId(camera, second * 1000, (second + length_s) * 1000)


def node_at(
    second: int, camera: str = "door", length_s: int = 60, tier: Tier = Tier.MINUTE
) -> ChunkId:
    return ChunkId(camera, second * 1000, (second + length_s) * 1000, tier)


def levels(
    high: bytes,
    low: bytes | None = None,
    keys: bytes | None = None,
    picture: bytes | None = None,
) -> dict[Level, bytes]:
    """The blobs of a chunk by their level, those that there are."""
    given = dict(zip(Level, (high, low, keys, picture), strict=True))
    return {level: blob for level, blob in given.items() if blob is not None}


async def until_reports(
    report: Callable[[str], Awaitable[dict[str, str]]], section: str, **expected: str
) -> None:
    async def is_reported() -> bool:
        return expected.items() <= (await report(section)).items()

    await until(is_reported)


async def sizes(archive: RedisArchive) -> dict[int, tuple[int, int]]:
    """What the book says of the door, by second."""
    booked = await archive.booked("door")
    return {b.chunk.start_ms // 1000: (b.high_bytes, b.low_bytes) for b in booked}
