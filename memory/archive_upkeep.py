"""Looking through the archive, every model's chunks, and giving up what has to go."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from memory.redis_archive import RedisArchive
from memory.retention import Booked, Freed, Limits, Retirement, plan_retirement


async def survey(archive: RedisArchive, cameras: Iterable[str]) -> list[Booked]:
    """Give what the archive holds of cameras, by its book.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    found = []
    for camera in cameras:
        for model in await archive.models(camera):
            found += await archive.of_model(model).booked(camera)
    return found


async def strike_evicted(archive: RedisArchive, booked: list[Booked]) -> list[Booked]:
    """Take L-KV out of the book that the server evicted, and give the book then.

    A server with a `maxmemory-policy` of `volatile-*` doesn't say what it evicts.

    Raises:
        ArchiveUnavailableError: The archive does not answer.
    """
    gone = set()
    for (_, model), some in _by_owner(b for b in booked if b.low_bytes):
        evicted = await archive.of_model(model).evicted([b.chunk for b in some])
        await archive.of_model(model).retire_lows(evicted)
        gone |= {(chunk, model) for chunk in evicted}
    return [
        replace(b, low_bytes=0) if (b.chunk, b.model) in gone else b for b in booked
    ]


async def carry_out(archive: RedisArchive, plan: Retirement) -> Freed:
    """Have the archive give up what a plan says.

    Raises:
        ArchiveUnavailableError: The archive does not answer; what has gone is gone
            from timeline, blobs and book alike.
    """
    freed = Freed()
    for (_, model), some in _by_owner(plan.lows):
        freed += await archive.of_model(model).retire_lows([b.chunk for b in some])
    for (_, model), some in _by_owner(plan.chunks):
        freed += await archive.of_model(model).remove([b.chunk for b in some])
    return freed


async def retire(
    archive: RedisArchive, cameras: Iterable[str], limits: Limits
) -> Retirement:
    """Have the archive give up what is over its limits, and give what that was.

    Adding up the book is cheap, reading it is not (2 s for a camera's week, on two
    cores). So if there is too much, a little more than that goes.

    Raises:
        ArchiveUnavailableError: As for `carry_out`.
    """
    cameras = list(cameras)
    sizes = [await _size(archive, camera) for camera in cameras]
    if limits.hold(sizes):
        return Retirement((), ())
    booked = await strike_evicted(archive, await survey(archive, cameras))
    plan = await asyncio.to_thread(plan_retirement, booked, limits.tightened())
    await carry_out(archive, plan)
    return plan


async def _size(archive: RedisArchive, camera: str) -> int:
    models = await archive.models(camera)
    return sum([await archive.of_model(model).size(camera) for model in models])


def _by_owner(
    booked: Iterable[Booked],
) -> list[tuple[tuple[str, str], list[Booked]]]:
    """Group by camera and model, whose keys one transaction can hold."""

    def owner(each: Booked) -> tuple[str, str]:
        return each.chunk.camera, each.model

    groups = groupby(sorted(booked, key=owner), owner)
    return [(key, list(group)) for key, group in groups]
