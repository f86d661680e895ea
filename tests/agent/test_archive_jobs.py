"""What the archive commands do, on each kind of server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from archived import MODEL, chunk_at, levels

from agent.archive_jobs import (
    Imported,
    Scope,
    export_chunks,
    import_chunks,
    prune,
    take_stock,
)
from agent.archive_report import Stock, stock_of
from agent.screen import show_size
from memory.errors import ChunkNotFoundError, DamagedFileError
from memory.gaps import Gap, GapLog, cameras_with_gaps
from memory.kv import Level
from memory.redis_archive import RedisArchive
from memory.retention import Freed, Limits

HIGH, LOW = b"h" * 10, b"l" * 100


@pytest.fixture
async def archive(archive_url: str, prefix: str) -> AsyncIterator[RedisArchive]:
    """Six chunks of the door, one of them another model's; one of the yard."""
    async with RedisArchive(archive_url, model="", prefix=prefix) as archive:
        own = archive.of_model(MODEL)
        for second in range(1, 6):
            await own.put(chunk_at(second), levels(HIGH, LOW + bytes([second])))
        await own.put(chunk_at(2, "yard"), levels(HIGH))
        await archive.of_model("other").put(chunk_at(0), levels(HIGH, LOW))
        yield archive


def tell(done: int, total: int) -> None:
    assert 0 < done <= total


async def left(archive: RedisArchive) -> list[tuple[str, str, int, int]]:
    stock = sorted(await take_stock(archive, Scope()))
    return [(b.chunk.camera, b.model, b.end_ms // 1000, b.low_bytes) for b in stock]


async def test_stock_is_summed_up_by_camera_and_model(archive: RedisArchive) -> None:
    await archive.of_model(MODEL).delete(chunk_at(3), Level.LOW)
    rows = stock_of(await take_stock(archive, Scope()))
    assert [(r.camera, r.model, r.is_other) for r in rows] == [
        ("door", MODEL, False),
        ("door", "other", True),
        ("yard", MODEL, False),
    ]
    assert rows[0] == Stock(
        camera="door",
        model=MODEL,
        is_other=False,
        chunks=5,
        nodes=0,
        first="1970-01-01T00:00:01.000Z",
        last="1970-01-01T00:00:06.000Z",
        bytes_h=50,
        bytes_l=404,
        bytes_per_hour=454 * 720,
        without_l=1,
    )
    assert rows[2].without_l == 1


async def test_what_goes_is_told_and_kept_until_it_is_wanted(
    archive: RedisArchive,
) -> None:
    before = await left(archive)
    limits = Limits(before_ms=3000, total=300)
    told: list[Freed] = []

    def refuse(freed: Freed) -> bool:
        told.append(freed)
        return False

    freed = await prune(archive, Scope(cameras=("door",)), limits, refuse)
    assert told == [freed] == [Freed(num_lows=1, num_chunks=3, num_bytes=433)]
    assert await left(archive) == before
    again = await prune(archive, Scope(cameras=("door",)), limits, lambda _: True)
    assert again == freed
    assert await left(archive) == [
        ("yard", MODEL, 3, 0),
        ("door", MODEL, 4, 0),
        ("door", MODEL, 5, 101),
        ("door", MODEL, 6, 101),
    ]


async def test_only_another_models_chunks_can_be_pruned(archive: RedisArchive) -> None:
    scope = Scope(models=("other",))
    freed = await prune(archive, scope, Limits(before_ms=1 << 52), lambda _: True)
    assert freed == Freed(num_chunks=1, num_bytes=110)
    assert {model for _, model, *_ in await left(archive)} == {MODEL}
    assert await archive.models("door") == [MODEL]


async def test_chunks_carried_to_another_archive_are_the_same(
    archive: RedisArchive, archive_url: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "chunks"
    assert await export_chunks(archive, Scope(), path, tell) == 7
    there = RedisArchive(archive_url, model="", prefix=f"{prefix}-there")
    async with there:
        await there.of_model(MODEL).put(chunk_at(4), levels(b"other", b"blobs"))
        assert await import_chunks(there, path, tell) == Imported(6, 1)
        assert await import_chunks(there, path, tell) == Imported(0, 7)
        own = there.of_model(MODEL)
        assert await own.get(chunk_at(4), Level.HIGH) == b"other"
        await own.put(chunk_at(4), levels(HIGH, LOW + bytes([4])))
        assert await left(there) == await left(archive)
        again = tmp_path / "again"
        assert await export_chunks(there, Scope(), again, tell) == 7
    read = Path.read_bytes
    first, second = await asyncio.gather(
        asyncio.to_thread(read, path), asyncio.to_thread(read, again)
    )
    assert first == second


async def test_index_keys_are_carried_along(
    archive: RedisArchive, archive_url: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "chunks"
    here = archive.of_model(MODEL)
    for second in (1, 3):
        await here.put(chunk_at(second), levels(HIGH, LOW, b"keys %d" % second))
    await export_chunks(archive, Scope(), path, tell)
    async with RedisArchive(archive_url, model="", prefix=f"{prefix}-there") as there:
        await import_chunks(there, path, tell)
        own = there.of_model(MODEL)
        found = await own.get_small(
            [chunk_at(second) for second in (1, 2, 3)], Level.KEYS
        )
        assert found[::2] == [b"keys 1", b"keys 3"]
        assert isinstance(found[1], ChunkNotFoundError)
        assert await own.booked("door") == await here.booked("door")


async def test_an_export_is_of_the_cameras_and_the_time_asked_for(
    archive: RedisArchive, tmp_path: Path
) -> None:
    path = tmp_path / "chunks"
    door = Scope(cameras=("door",), start_ms=2000, end_ms=4000)
    assert await export_chunks(archive, door, path, tell) == 2
    assert await export_chunks(archive, Scope(end_ms=3000), path, tell) == 4


async def test_gaps_are_carried_along_and_join_those_that_are_there(
    archive: RedisArchive, archive_url: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "chunks"
    await note(archive, "door", Gap(1, 5000, "offline"), Gap(9000, 20_000, "paused"))
    await note(archive, "yard", Gap(1, 5000, "stalled"))
    door = Scope(cameras=("door",), start_ms=2000, end_ms=9000)
    await export_chunks(archive, door, path, tell)
    async with RedisArchive(archive_url, model="", prefix=f"{prefix}-there") as there:
        await note(there, "door", Gap(5000, 7000, "offline"))
        for _ in range(2):
            await import_chunks(there, path, tell)
            assert await cameras_with_gaps(there) == ["door"]
            log = GapLog()
            await log.load(there, "door")
            assert log.within("door") == [Gap(1, 7000, "offline")]


async def note(archive: RedisArchive, camera: str, *gaps: Gap) -> None:
    log = GapLog()
    for gap in gaps:
        log.add(camera, gap)
    await log.write(archive)


async def test_a_damaged_file_changes_nothing(
    archive: RedisArchive, archive_url: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "chunks"
    await export_chunks(archive, Scope(), path, tell)
    content = await asyncio.to_thread(path.read_bytes)
    await asyncio.to_thread(path.write_bytes, content[:-1])
    there = RedisArchive(archive_url, model="", prefix=f"{prefix}-there")
    async with there:
        with pytest.raises(DamagedFileError, match="record 8: cut off"):
            await import_chunks(there, path, tell)
        assert await there.cameras() == []


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (25_000_000_000_000, "25.0 TB")],
)
def test_sizes_read_well(num_bytes: int, shown: str) -> None:
    assert show_size(num_bytes) == shown
