"""How fast L-KV goes into the archive and comes back, beside what else there is.

Every way stores the same KV on the same server, in turns, so that other load strikes
all alike. Rates are in megabytes (10^6) of our blob, whatever a way itself writes of
it, so that a ratio of rates is one of times.

    raw          redis-py's SET and GET of the finished blob: nothing is encoded,
                 proved or decoded
    ours         encoded, stored as a chunk in one transaction; fetched, proved, decoded
    the others   written and read by their own libraries, stored by SET and GET; where
                 the name says so, with a CRC-32 of what is stored, on both ways

Encoding and decoding run in a thread in all of them, as they do in the product.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from redis.asyncio import Redis

from benchmarks.archive_ways import (
    MODEL,
    OURS,
    SHAPES,
    Way,
    make_kv,
    other_ways,
    our_way,
    raw_way,
)
from memory.embedded_valkey import EmbeddedValkey
from memory.redis_archive import RedisArchive

NUMBERS = ("bfloat16", "int8", "int4", "float32")
IN_FLIGHT = (1, 8)
LEAST_TURNS = 5
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds for each chunk, turn by turn, of each way."""

    put: dict[str, list[float]]
    get: dict[str, list[float]]


async def take_turns(
    ways: Sequence[Way], in_flight: int, seconds: float, seed: int
) -> Spent:
    """Have the ways store and fetch in turns for so long, and a few turns at least.

    Each turn has them in another order, drawn by chance: what one leaves behind in
    memory, another may find.

    Args:
        ways: All of them.
        in_flight: Chunks that each has under way at once.
        seconds: For all of them together; the first turn, which warms up, not counted.
        seed: Of the orders.
    """
    chance = random.Random(seed)
    spent = Spent({way.name: [] for way in ways}, {way.name: [] for way in ways})
    turn, end = -1, 0.0
    while turn < LEAST_TURNS or time.perf_counter() < end:
        order = chance.sample(ways, len(ways))
        puts = [await _timed(way.put, in_flight) for way in order]
        gets = [await _timed(way.get, in_flight) for way in order]
        for way, put_s, get_s in zip(order, puts, gets, strict=True):
            if turn >= 0:
                spent.put[way.name].append(put_s)
                spent.get[way.name].append(get_s)
        end = end or time.perf_counter() + seconds
        turn += 1
    return spent


async def _timed(work: Callable[[int], Awaitable[Any]], in_flight: int) -> float:
    """Give the seconds that each chunk took."""
    began = time.perf_counter()
    if in_flight == 1:
        await work(0)
    else:
        await asyncio.gather(*(work(place) for place in range(in_flight)))
    return (time.perf_counter() - began) / in_flight


def judge(ways: Sequence[Way], spent: Spent) -> list[dict[str, Any]]:
    """Give each way's rates, and how many times as fast ours is: median of turns."""
    blob_mb = next(way.num_bytes for way in ways if way.name == OURS) / 1e6
    rows = []
    for way in ways:
        row: dict[str, Any] = {"way": way.name, "stored_bytes": way.num_bytes}
        for kind, times in (("put", spent.put), ("get", spent.get)):
            own = times[way.name]
            ratios = [a / b for a, b in zip(own, times[OURS], strict=True)]
            row[f"{kind}_mb_per_s"] = round(blob_mb / median(own), 1)
            row[f"{kind}_ratio"] = round(median(ratios), 3)
        rows.append(row)
    return rows


async def measure(
    folder: Path, shapes: Sequence[str], seconds: float, seed: int
) -> AsyncIterator[dict[str, Any]]:
    """Give a row per shape, numbers and chunks in flight.

    The server's file is rewritten between rows, and not by itself within one: with so
    little stored and so much written over it, it would be at it all the time.

    Args:
        folder: Where the server is; empty.
        shapes: Names in `SHAPES`.
        seconds: For each row.
        seed: Of the KV, and of whose turn it is.
    """
    async with (
        EmbeddedValkey(folder) as valkey,
        RedisArchive(valkey.url, model=MODEL, timeout_s=TIMEOUT_S) as archive,
        Redis.from_url(valkey.url) as client,
    ):
        await client.config_set("auto-aof-rewrite-percentage", 0)
        for name in shapes:
            for numbers in NUMBERS:
                kv = make_kv(SHAPES[name], numbers, seed)
                ways = [our_way(archive, kv, numbers), raw_way(client, kv, numbers)]
                others = other_ways(client, kv) if "float" in numbers else []
                for in_flight in IN_FLIGHT:
                    all_ways = [*ways, *others] if in_flight == 1 else ways
                    spent = await take_turns(all_ways, in_flight, seconds, seed)
                    yield {
                        "shape": name,
                        "tokens": kv.num_tokens,
                        "numbers": numbers,
                        "in_flight": in_flight,
                        "kv_bytes": kv.num_bytes,
                        "blob_bytes": ways[0].num_bytes,
                        "turns": len(spent.put[OURS]),
                        "ways": judge(all_ways, spent),
                    }
                    await _clear(client)


async def _clear(client: Redis) -> None:
    """Drop what is stored, and its file."""
    await client.flushall()
    await client.bgrewriteaof()
    is_at_it = "aof_rewrite_in_progress"
    while (await client.info("persistence"))[is_at_it]:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
