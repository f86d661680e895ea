"""What tests of the archive share: chunks by their second, and a server's word."""

from collections.abc import Awaitable, Callable

from waiting import until

from memory.kv import ChunkId

MODEL = "ab12cd34"


def chunk_at(second: int, camera: str = "door", length_s: int = 1) -> ChunkId:
    return ChunkId(camera, second * 1000, (second + length_s) * 1000)


async def until_reports(
    report: Callable[[str], Awaitable[dict[str, str]]], section: str, **expected: str
) -> None:
    async def is_reported() -> bool:
        return expected.items() <= (await report(section)).items()

    await until(is_reported)
