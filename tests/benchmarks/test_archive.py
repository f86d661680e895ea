"""The benchmark of the archive measures what it says."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from redis.asyncio import Redis

from benchmarks import archive, archive_rates, archive_restart, archive_ways
from memory.codec import Compression, encode_low
from memory.embedded_valkey import EmbeddedValkey
from memory.kv import KV, ChunkId
from memory.redis_archive import RedisArchive

TINY = archive_ways.SHAPES["tiny"]


def blob_of(numbers: str) -> bytes:
    chunk = ChunkId(archive_ways.CAMERA, 0, 10_000)
    kv = archive_ways.make_kv(TINY, numbers, 0)
    made = Compression("novelty", archive_ways.LOW_FACTOR, numbers)
    return encode_low(chunk, kv, made, archive_ways.MODEL)


@pytest.mark.parametrize("numbers", ["bfloat16", "float32"])
async def test_each_way_gives_back_what_it_was_given(
    short_folder: Callable[[], Path], numbers: str
) -> None:
    kv = archive_ways.make_kv(TINY, numbers, 0)
    async with (
        EmbeddedValkey(short_folder()) as valkey,
        RedisArchive(valkey.url, model=archive_ways.MODEL) as store,
        Redis.from_url(valkey.url) as client,
    ):
        ours = archive_ways.our_way(store, kv, numbers)
        raw = archive_ways.raw_way(client, kv, numbers)
        others = archive_ways.other_ways(client, kv)
        for way in (ours, raw, *others):
            await way.put(3)
        read = await ours.get(3)
        assert isinstance(read, KV)
        assert torch.equal(read.keys, kv.keys)
        assert await raw.get(3) == blob_of(numbers)
        assert raw.num_bytes == ours.num_bytes == len(blob_of(numbers))
        for way in others:
            found = await way.get(3)
            assert torch.equal(found["keys"], kv.keys), way.name
            assert torch.equal(found["values"], kv.values), way.name
            assert torch.equal(found["positions"], kv.positions[:1]), way.name
            assert await client.strlen(f"{way.name}:3") == way.num_bytes
        says = await client.config_get("append*")
        told = {"appendonly", "appendfsync"}
        assert {n: says[n] for n in told} == {n: archive.SERVER[n] for n in told}


async def test_rates_of_all_numbers_one_by_one_and_several_at_once(
    short_folder: Callable[[], Path],
) -> None:
    rows = [r async for r in archive_rates.measure(short_folder(), ["tiny"], 0.0, 0)]
    asked = [(n, f) for n in archive_rates.NUMBERS for f in archive_rates.IN_FLIGHT]
    assert [(row["numbers"], row["in_flight"]) for row in rows] == asked
    for row in rows:
        assert row["blob_bytes"] == len(blob_of(row["numbers"]))
        assert row["turns"] >= archive_rates.LEAST_TURNS
        ours, raw, *others = row["ways"]
        assert ours["put_ratio"] == ours["get_ratio"] == 1
        assert raw["stored_bytes"] == ours["stored_bytes"] == row["blob_bytes"]
        has_others = "float" in row["numbers"] and row["in_flight"] == 1
        assert len(others) == (5 if has_others else 0)
        for way in row["ways"]:
            assert all(way[name] > 0 for name in way if name != "way")


def test_a_ratio_is_of_rates_ours_over_the_others() -> None:
    async def nothing(place: int) -> None: ...

    ways = [archive_ways.Way(name, nothing, nothing, 10**6) for name in ("ours", "raw")]
    times = {"ours": [0.2, 0.2, 0.2], "raw": [0.1, 0.15, 0.4]}
    ours, raw = archive_rates.judge(ways, archive_rates.Spent(times, times))
    assert (ours["put_mb_per_s"], raw["get_mb_per_s"]) == (5.0, 6.7)
    assert raw["put_ratio"] == raw["get_ratio"] == 0.75


async def test_a_restart_reads_all_but_l_kv(short_folder: Callable[[], Path]) -> None:
    found = await archive_restart.measure(short_folder(), 50, 0)
    blobs = found["high_blobs_read"], found["keys_blobs_read"], found["low_blobs_read"]
    assert blobs == (50, 50, 0)
    assert (found["resident_nodes"], found["indexed"]) == (50, 50)
    assert found["resident_tokens"] == 50 * archive_restart.HIGH_TOKENS
    # One look-up for each blob, and two for what there is.
    assert found["server_counted"]["key_lookups"] == found["blobs"] + 2 == 102
    assert found["bytes"] > 50 * 2 * 4 * 4 * 32 * 4 * archive_restart.HIGH_TOKENS
    assert found["ratio"] > 0


def test_fewer_bits_take_fewer_bytes_of_the_same_video() -> None:
    found = archive.measure_video(2, 0)
    by_numbers = {row["numbers"]: row["bytes_per_s"] for row in found["rows"]}
    ordered = [by_numbers[name] for name in ("int4", "int8", "bfloat16", "float32")]
    assert ordered == sorted(ordered)
    assert len(set(ordered)) == 4
    assert all(clip["bytes_per_s"] > 0 for clip in found["clips"])
    first = found["rows"][0]
    total = first["high_bytes"] + first["low_bytes"] + first["keys_bytes"]
    assert first["bytes_per_s"] == round(total / found["seconds"], 1)


def test_the_command_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tmp_path / "archive.json"
    words = f"--parts restart --restart-chunks 3 --json {result}"
    monkeypatch.setattr(sys, "argv", ["archive", *words.split()])
    archive.main()
    found = json.loads(result.read_text())
    assert found["server"]["appendfsync"] == "always"
    assert found["restart"]["chunks"] == 3
    assert str(tmp_path) not in found["command"]
    assert {"commit", "machine", "versions", "seed"} <= found.keys()
