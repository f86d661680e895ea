import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import measure, numbers, parse, world_of
from benchmarks.bench import Bench
from benchmarks.contexts import NAMES
from benchmarks.rows import StreamRun
from benchmarks.streams import Take
from memory.compression.bilevel import LevelSettings


def test_any_whole_number_names_a_world_of_its_split() -> None:
    assert world_of("test", 7) == 300_007
    assert world_of("validation", 10**20 + 3) == 200_003
    assert world_of("test", -1) == 399_999


def test_seeds_are_read() -> None:
    assert numbers("3") == [3]
    assert numbers("0-2,9") == [0, 1, 2, 9]
    assert numbers("-3--1") == [-3, -2, -1]
    with pytest.raises(argparse.ArgumentTypeError):
        numbers("1-")


def test_what_is_compared_is_read() -> None:
    words = "--high pooling:8 --keys 4 --contexts bilevel flat --chunks 32 64"
    arguments = parse(words.split())
    assert arguments.high == LevelSettings("pooling", 8)
    assert (arguments.keys, arguments.chunks) == (4, [32, 64])
    with pytest.raises(SystemExit):
        parse(["--high", "guessing:8"])


@pytest.mark.timeout(90)  # every context takes a prefill and a decode
def test_a_stream_is_asked_in_every_context(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    words = f"--split validation --seeds 3 --chunks 8 --types kind --json {path}"
    rows = measure(parse(words.split()))["rows"]
    assert {row["context"] for row in rows} == set(NAMES)
    kind = {
        (row["context"], row["k"]): row
        for row in rows
        if row["type"] == "kind" and row["age"] == "all"
    }
    assert kind["oracle", 1]["recall_at_k"] == 1
    assert kind["full", 0]["tokens_per_chunk"] == 84
    assert kind["blind", 0]["tokens_per_chunk"] == 0
    mix, flat = kind["bilevel", 1], kind["flat", 1]
    assert mix["tokens_per_chunk"] <= flat["tokens_per_chunk"] == 15
    assert json.loads(path.read_text())["rows"] == rows
    assert not path.with_name("a.json.part").exists()


@pytest.mark.timeout(90)
def test_a_run_that_was_cut_off_gives_what_a_whole_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "--split validation --seeds 3-4 --chunks 6 --types kind --contexts oracle"
    path = tmp_path / "a.json"
    whole = answers(measure(parse(words.split())))
    run = Bench.run

    async def run_once(self: Bench, *about: Any) -> StreamRun:
        monkeypatch.setattr(Bench, "run", fail)
        return await run(self, *about)

    async def fail(*_: Any) -> StreamRun:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "run", run_once)
    with pytest.raises(KeyboardInterrupt):
        measure(parse([*words.split(), "--json", str(path)]))
    assert not path.exists()
    seeds: list[int] = []

    async def run_again(self: Bench, take: Take, asked: Any) -> StreamRun:
        seeds.append(take.world.seed)
        return await run(self, take, asked)

    monkeypatch.setattr(Bench, "run", run_again)
    assert answers(measure(parse([*words.split(), "--json", str(path)]))) == whole
    assert seeds == [200_004]


def answers(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows without what a clock told."""
    return [{k: v for k, v in r.items() if k != "ttft_ms"} for r in result["rows"]]
