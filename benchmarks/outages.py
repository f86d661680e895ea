"""Is a chunk lost that was reported remembered? Server and writer, killed at random.

Run `python -m benchmarks.outages [--rounds 200] [--fsync always everysec] [--json
FILE]`. A real redis-server and a writer process run; every round sends SIGKILL to one
of them or to both, 0 to 400 ms after the last start, and starts it again 0 to 400 ms
later. In the end every chunk that was reported must be in the archive or in the spool,
whole; and once the spool is replayed, in the archive exactly once, in order of time.

SIGKILL ends a process and leaves the machine running: what a power cut costs is not
measured here.
"""

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from redis.asyncio import Redis as Client
from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.options import Parser, at_least, result_file
from benchmarks.outage_victims import Redis, Writer
from benchmarks.outage_writer import CAMERA, HEADS, MODEL, chunk_of, id_of, open_store
from memory.chunk_reader import READ_BATCH, ChunkReader
from memory.errors import ArchiveUnavailableError
from memory.kv import KV
from memory.outage import Outage
from memory.replay import replay
from memory.store import MemoryStore
from memory.witnesses import Witnesses

LONGEST_WAIT_S = 0.4


def soak(folder: Path, rounds: int, fsync: str, seed: int) -> dict[str, Any]:
    """Kill for so many rounds, then judge.

    Args:
        folder: Where the archive and the spool are; empty.
        rounds: How many.
        fsync: The server's `appendfsync`.
        seed: Of the victims and the instants.
    """
    began = time.monotonic()
    redis = Redis(folder, fsync)
    try:
        writer = Writer(redis.url, folder)
        try:
            kills = _kill(redis, writer, rounds, random.Random(seed))
        finally:
            writer.kill()
        verdict = asyncio.run(judge(redis.url, writer))
    finally:
        redis.kill()
    return {
        "appendfsync": fsync,
        "rounds": rounds,
        "kills": kills,
        **verdict,
        "seconds": round(time.monotonic() - began),
    }


def _kill(
    redis: Redis, writer: Writer, rounds: int, dealer: random.Random
) -> dict[str, int]:
    """Kill and start again; tell how often whom.

    Half of the time the archive is given time to come back first, so that chunks on
    the straight way to it are hit, too, and not only those on the way round.
    """
    kills: Counter[str] = Counter()
    for _ in range(rounds):
        if dealer.random() < 0.5:
            writer.wait_for("archived")
        time.sleep(dealer.uniform(0, LONGEST_WAIT_S))
        victim = dealer.choice(["redis", "writer", "both"])
        kills[victim] += 1
        victims = [each for each in (redis, writer) if victim in (_name(each), "both")]
        for each in victims:
            each.kill()
        time.sleep(dealer.uniform(0, LONGEST_WAIT_S))
        for each in victims:
            each.start()
    return dict(sorted(kills.items()))


def _name(victim: Redis | Writer) -> str:
    return type(victim).__name__.lower()


async def judge(url: str, writer: Writer) -> dict[str, int]:
    """Count what is wrong with what was reported; all but the first four must be 0.

    A chunk that was stored and killed before it was reported is no fault.
    """
    numbers = writer.archived | writer.spooled
    reported = {id_of(number) for number in numbers}
    async with open_store(url, writer.spool) as store:
        await _until_loaded(store)
        waiting = set(await asyncio.to_thread(store.spool.pending))
        kept = waiting | set(await store.archive.timeline(CAMERA))
        broken = await _broken(store, sorted(n for n in numbers if id_of(n) in kept))
        await replay(store.spool, store.archive, Outage(), Witnesses())
        after = await store.archive.timeline(CAMERA)
        nodes = await store.archive.nodes(CAMERA)
        blobs = await _count_blobs(url)
    return {
        "reported": len(reported),
        "straight_into_the_archive": len(writer.archived),
        "waiting_in_the_spool_at_the_end": len(waiting),
        "stored_but_not_reported": len(set(after) - reported),
        "lost": len(reported - kept),
        "broken": broken,
        "lost_by_the_replay": len((reported & kept) - set(after)),
        "twice": len(after) - len(set(after)),
        "out_of_order": sum(a >= b for a, b in pairwise(after)),
        "blobs_without_a_chunk": blobs - 3 * len(after) - len(nodes),
    }


async def _until_loaded(store: MemoryStore) -> None:
    """Return once the server has read its append-only file."""
    async with asyncio.timeout(60):
        while True:
            with suppress(ArchiveUnavailableError):
                await store.archive.ping()
                return
            await asyncio.sleep(0.05)


async def _broken(store: MemoryStore, numbers: list[int]) -> int:
    """Count chunks that can't be read, or differ from what was remembered."""
    index, cpu = HEADS.index_name, torch.device("cpu")
    reader = ChunkReader(store.archive, store.spool, Outage(), MODEL, index, cpu)
    broken = 0
    for start in range(0, len(numbers), READ_BATCH):
        some = numbers[start : start + READ_BATCH]
        ids = [id_of(number) for number in some]
        highs = {node.id: node.high async for node in reader.nodes(ids)}
        keys = [each async for batch in reader.keys(ids) for each in batch]
        found = {each.id: each.index_keys for each in keys}
        lows = await reader.lows(ids)
        for number, low in zip(some, lows, strict=True):
            made, high = chunk_of(number), highs.get(id_of(number))
            is_found = torch.equal(found[id_of(number)], made.memory.index_keys)
            is_same = _same(high, made.memory.high) and _same(low, made.low)
            broken += not (is_same and is_found)
    return broken


def _same(found: object, made: KV) -> bool:
    return (
        isinstance(found, KV)
        and torch.equal(found.keys, made.keys)
        and torch.equal(found.values, made.values)
    )


async def _count_blobs(url: str) -> int:
    async with Client.from_url(url) as client:
        found = client.scan_iter(match="*:[hlk]:*", count=10_000)
        return sum([1 async for _ in found])


def main() -> None:
    """Kill, judge, show, write."""
    parser = Parser(prog="python -m benchmarks.outages", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=200)
    parser.add_argument(
        "--fsync", nargs="+", choices=["always", "everysec"], default=["always"]
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=result_file, help="where to write the result")
    arguments = parser.parse_args()
    rows = []
    with parser.tells():
        for fsync in arguments.fsync:
            with tempfile.TemporaryDirectory(prefix="lw-") as folder:
                rows.append(soak(Path(folder), arguments.rounds, fsync, arguments.seed))
    table = Table("", *(row["appendfsync"] for row in rows))
    for name in rows[0]:
        table.add_row(name, *(str(row[name]) for row in rows))
    Console().print(table)
    if arguments.json:
        options = f"--rounds {arguments.rounds} --fsync {' '.join(arguments.fsync)}"
        facts = describe() | {"seed": arguments.seed, "rows": rows}
        facts = {"command": f"python -m benchmarks.outages {options}"} | facts
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
