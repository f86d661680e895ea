"""`longwatch archive`: on an embedded archive, on one that an agent holds, by URL."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from archived import levels
from kv_factory import make_kv, make_memory
from servers import SecureRedisServer, ThreeMasters
from typer.testing import CliRunner, Result

from agent.__main__ import app
from memory.codec import Compression, encode_keys, encode_low, encode_node
from memory.embedded_valkey import EmbeddedValkey
from memory.gaps import Gap, GapLog
from memory.kv import ChunkMemory, Level
from memory.redis_archive import RedisArchive
from memory.relevance import ChunkKeys

MADE = Compression("pooling", 2)
OLD, NEW = "0ld0", "ab12"


@pytest.fixture
def folder(short_folder: Callable[[], Path]) -> Path:
    """A config with an embedded archive in a data directory beside it."""
    folder = short_folder()
    write_config(folder / "c.yaml", folder / "data")
    return folder


def write_config(path: Path, data_dir: Path, archive: str = "{}") -> None:
    path.write_text(
        f"data_dir: {data_dir}\narchive: {archive}\n"
        "cameras:\n  door: {address: 'simulated:seed=1'}\n"
    )


def encode(memory: ChunkMemory, model: str) -> dict[Level, bytes]:
    keys = ChunkKeys(memory.id, memory.index_keys)
    return levels(
        encode_node(memory.node, MADE, model),
        encode_low(memory.id, make_kv(9), MADE, model),
        encode_keys(keys, MADE, model, "0.0"),
    )


async def fill(url: str, prefix: str = "longwatch") -> None:
    """Store four chunks of the door, the first by another model."""
    async with RedisArchive(url, model=NEW, prefix=prefix) as archive:
        for number in range(4):
            model = NEW if number else OLD
            memory = make_memory(number)
            blobs = await asyncio.to_thread(encode, memory, model)
            await archive.of_model(model).put(memory.id, blobs)


async def fill_embedded(folder: Path, *, corrupt: bool = False) -> None:
    async with EmbeddedValkey(folder / "data" / "archive") as valkey:
        await fill(valkey.url)
        if corrupt:
            async with RedisArchive(valkey.url, model=NEW) as archive:
                chunk = make_memory(2).id
                high = await archive.get(chunk, Level.HIGH)
                await archive.put(chunk, levels(high, b"nonsense"))


def longwatch(
    folder: Path, *arguments: str | Path, answer: str | None = None
) -> Result:
    command, *rest = map(str, arguments)
    config = ["--config", str(folder / "c.yaml")]
    return CliRunner().invoke(app, ["archive", command, *config, *rest], input=answer)


def stock(folder: Path, *arguments: str) -> list[dict[str, object]]:
    shown = longwatch(folder, "stats", "--json", *arguments)
    assert shown.exit_code == 0, shown.stderr
    rows: list[dict[str, object]] = json.loads(shown.stdout)
    return rows


def test_stats_show_what_is_there(folder: Path) -> None:
    asyncio.run(fill_embedded(folder))
    new, old = sorted(stock(folder), key=lambda row: row["model"] == OLD)
    assert (new["model"], new["chunks"], new["is_other"]) == (NEW, 3, False)
    assert (old["model"], old["chunks"], old["is_other"]) == (OLD, 1, True)
    assert new["first"] == "1970-01-01T00:00:01.000Z"
    shown = longwatch(folder, "stats")
    assert shown.exit_code == 0
    assert "door" in shown.stdout
    assert "(other)" in shown.stdout
    assert shown.stdout.count("1970-01-01 00:00") == 4
    assert shown.stderr == ""  # no progress where nobody looks


def test_an_archive_that_is_not_there_is_not_made(folder: Path) -> None:
    shown = longwatch(folder, "stats")
    assert shown.exit_code == 2
    assert "nothing is archived in" in shown.stderr
    assert not (folder / "data").exists()


def test_verify_names_a_fault_and_repairs_it(folder: Path) -> None:
    asyncio.run(fill_embedded(folder, corrupt=True))
    found = longwatch(folder, "verify", "--json")
    assert found.exit_code == 1
    [fault] = json.loads(found.stdout)["faults"]
    assert (fault["kind"], fault["level"], fault["camera"]) == ("corrupt", "l", "door")
    repaired = longwatch(folder, "verify", "--repair")
    assert repaired.exit_code == 1
    assert f"door/{make_memory(2).id.name} of {NEW} LOW: corrupt" in repaired.stdout
    assert "4 chunks, 1 fault" in repaired.stdout
    good = longwatch(folder, "verify")
    assert good.exit_code == 0
    assert good.stdout == "4 chunks, 0 faults\n"


def test_pruning_asks_first(folder: Path) -> None:
    asyncio.run(fill_embedded(folder))
    would = longwatch(folder, "prune", "--older-than", "1d", "--dry-run")
    assert would.exit_code == 0
    assert would.stdout.startswith("would delete 4 chunks whole")
    refused = longwatch(folder, "prune", "--model", OLD, answer="n\n")
    assert refused.exit_code == 1
    assert "Delete 1 chunks whole" in refused.stderr
    assert len(stock(folder)) == 2
    agreed = longwatch(folder, "prune", "--model", OLD, answer="y\n")
    assert agreed.exit_code == 0
    assert [row["model"] for row in stock(folder)] == [NEW]
    sure = longwatch(folder, "prune", "--max-bytes", "0", "--yes", "--json")
    assert json.loads(sure.stdout)["num_chunks"] == 3
    assert stock(folder) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say --older-than"),
        (("--older-than", "3x"), "a number and one of s, m, h, d, w"),
        (("--max-bytes", "lots"), "bytes, or kB, MB, GB, TB"),
        (("--model", OLD, "--url", "http://door"), "redis://"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = longwatch(folder, "prune", *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_an_export_comes_back_elsewhere(
    folder: Path, short_folder: Callable[[], Path]
) -> None:
    asyncio.run(fill_embedded(folder))
    asyncio.run(not_watched(folder, Gap(4000, 10_000, "offline")))
    path = folder / "chunks"
    done = longwatch(folder, "export", path, "--from", "1970-01-01T00:00:01Z")
    assert done.stdout == f"exported 3 chunks to {path}\n"
    there = short_folder()
    write_config(there / "c.yaml", there / "data")
    done = longwatch(there, "import", path)
    assert done.stdout == "imported 3 chunks, 0 were there\n"
    assert longwatch(there, "verify").stdout == "3 chunks, 0 faults\n"
    assert told(there) == [("watched", 3.0), ("offline", 6.0)]
    path.write_bytes(path.read_bytes()[:-20])
    done = longwatch(there, "import", path)
    assert done.exit_code == 2
    assert "record" in done.stderr


async def test_an_archive_that_an_agent_holds_is_reached_by_its_url(
    folder: Path,
) -> None:
    async with EmbeddedValkey(folder / "data" / "archive") as valkey:
        await fill(valkey.url)
        refused = await asyncio.to_thread(longwatch, folder, "stats")
        assert refused.exit_code == 2
        assert f"--url {valkey.url}" in refused.stderr
        rows = await asyncio.to_thread(stock, folder, "--url", valkey.url)
        assert sum(int(str(row["chunks"])) for row in rows) == 4


@pytest.mark.parametrize("kind", ["tls", "cluster"])
def test_an_archive_of_ones_own_is_reached_by_the_config(
    folder: Path,
    redis_by_tls: SecureRedisServer,
    redis_cluster: ThreeMasters,
    prefix: str,
    kind: str,
) -> None:
    url = redis_by_tls.url if kind == "tls" else redis_cluster.url
    asyncio.run(fill(url, prefix))
    archive = f"{{url: '{url}', prefix: {prefix}}}"
    write_config(folder / "c.yaml", folder / "data", archive)
    assert sum(int(str(row["chunks"])) for row in stock(folder)) == 4
    assert longwatch(folder, "verify").exit_code == 0


def test_an_archive_that_is_away_is_one_line(folder: Path) -> None:
    write_config(folder / "c.yaml", folder / "data", "{url: 'redis://127.0.0.1:9'}")
    done = longwatch(folder, "stats")
    assert done.exit_code == 2
    assert done.stderr.startswith("longwatch: no archive")
    assert done.stderr.count("\n") == 1


async def not_watched(folder: Path, gap: Gap) -> None:
    log = GapLog()
    log.add("door", gap)
    async with (
        EmbeddedValkey(folder / "data" / "archive") as valkey,
        RedisArchive(valkey.url, model="") as archive,
    ):
        await log.write(archive)


def told(folder: Path, *arguments: str) -> list[tuple[str, float]]:
    shown = longwatch(folder, "coverage", "--json", *arguments)
    assert shown.exit_code == 0, shown.stderr
    return [(row["what"], row["seconds"]) for row in json.loads(shown.stdout)]


def test_coverage_tells_what_was_watched_and_why_not(folder: Path) -> None:
    asyncio.run(fill_embedded(folder))
    asyncio.run(not_watched(folder, Gap(4000, 10_000, "offline")))

    assert told(folder) == [("watched", 4.0), ("offline", 6.0)]
    period = "--from", "1970-01-01T00:00:03Z", "--to", "1970-01-01T00:00:20Z"
    assert told(folder, *period) == [
        ("watched", 1.0),
        ("offline", 7.0 - 1.0),
        ("not_watched", 10.0),
    ]
    assert told(folder, "--camera", "yard") == []
    shown = longwatch(folder, "coverage")
    assert "40.00 % watched" in shown.stdout
