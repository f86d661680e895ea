import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import accuracy
from benchmarks.accuracy import make_parser, measure
from benchmarks.bench import Bench
from benchmarks.contexts import NAMES
from benchmarks.options import numbers, world_of
from benchmarks.rows import StreamRun
from benchmarks.streams import Take
from memory.compression.bilevel import LevelSettings


def test_any_whole_number_names_a_world_of_its_split() -> None:
    assert world_of("test", 7) == 300_007
    assert world_of("validation", 10**20 + 3) == 200_003
    assert world_of("test", -1) == 399_999


def parse(words: list[str]) -> argparse.Namespace:
    return accuracy.parse(make_parser(), words)


def test_seeds_are_read_as_they_are_typed() -> None:
    assert numbers("3") == [3]
    assert numbers("0-2,9") == [0, 1, 2, 9]
    for typed in ("--seeds -8--6 --each 2", "--each 2 --seeds=-8--6"):
        assert parse(typed.split()).seeds == [-8, -7, -6]
    assert parse(["--seeds", "-5,7"]).seeds == [-5, 7]


def test_what_is_compared_is_read() -> None:
    words = "--high pooling:8 --keys 4 --contexts bilevel flat --chunks 32 64"
    arguments = parse(words.split())
    assert arguments.high == LevelSettings("pooling", 8)
    assert (arguments.keys, arguments.chunks) == (4, [32, 64])


MISTAKES = {
    "--seeds 1-": "'1-' is no number and no range",
    "--seeds 5-3": "'5-3' is a range with nothing in it",
    "--seeds 1,100001": "seeds 1 and 100001 name the same world",
    "--seeds 0,100000,-100000": "seeds 0 and 100000 name the same world",
    "--each 0": "'0' is no whole number of 1 or more",
    "--keys 0": "'0' is no whole number of 1 or more",
    "--context -1": "'-1' is no whole number of 0 or more",
    "--chunks 0": "'0' is no whole number of 1 or more",
    "--chunks 4000 --seeds 1": "4000 chunks are so many that plates come back",
    "--high novelty": "'novelty' is not METHOD:FACTOR",
    "--high novelty:nan": "'novelty:nan' is not METHOD:FACTOR",
    "--high guessing:8": "unknown compression 'guessing'",
    "--low novelty:0.5": "at least 1",
    "--model /nowhere --seeds 1": "/nowhere",
    "--device tpu --seeds 1": "no device 'tpu'",
    "--device cuda:99 --seeds 1": "device cuda:99 is not there",
    "--json .": "'.' is a folder",
    "--json nowhere/a.json": "there is no folder 'nowhere'",
    "--root there": "unrecognized arguments: --root there",
}


@pytest.mark.parametrize(("words", "reason"), MISTAKES.items())
def test_a_mistake_ends_the_command_with_a_sentence(
    words: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in told(words, monkeypatch, capsys)
    assert not list(tmp_path.iterdir())


def told(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What a command says that ends with a mistake."""
    monkeypatch.setattr("sys.argv", ["accuracy", *words.split()])
    with pytest.raises(SystemExit) as ended:
        accuracy.main()
    assert ended.value.code == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("python -m benchmarks.accuracy: error: ")
    return last


def test_streams_of_other_settings_are_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.with_name("a.json.part").write_text('{"split": "train"}\n')
    words = f"--seeds 1 --json {path}"
    assert "holds other measurements" in told(words, monkeypatch, capsys)


def test_help_names_the_command_and_its_other_half(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse(["--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m benchmarks.accuracy [")
    assert "--dataset vnbench --root DIR" in said
    assert "docs/public-benchmarks.md" in said


@pytest.mark.timeout(90)  # every context takes a prefill and a decode
def test_a_stream_is_asked_in_every_context(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    words = f"--split validation --seeds 3 --chunks 8 --types kind --json {path}"
    result = measure(parse(words.split()))
    rows = result["rows"]
    assert (result["seeds"], result["worlds"]) == ([3], [200_003])
    assert {row["context"] for row in rows} == set(NAMES)
    kind = {
        (row["context"], row["k"]): row
        for row in rows
        if row["type"] == "kind" and row["age"] == "all"
    }
    assert kind["oracle", 1]["recall_at_k"] == 1
    assert kind["full", 0]["tokens_per_chunk"] == 84
    assert result["full_tokens_per_chunk"] == 84
    assert result["full_bytes_per_chunk"] == 84 * 4096  # of float32
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
