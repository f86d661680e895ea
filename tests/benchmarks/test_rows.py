from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contexts import Label
from benchmarks.partial import Partial
from benchmarks.rows import StreamRun, Trial, interval, margins_of, show, summarise

MIX = Label("bilevel", 16, 2, 4)
RIGHT = Trial(
    MIX, "colour", "1h", is_right=True, is_recalled=True, tokens=64, first_token_ms=20.0
)
WRONG = replace(RIGHT, is_right=False, is_recalled=False, first_token_ms=40.0)
ABSENT = replace(RIGHT, type="seen", age="whole", is_recalled=None)
RUNS = [
    StreamRun(300_000, 32, 3200, 32_000, (RIGHT, WRONG, ABSENT)),
    StreamRun(300_001, 32, 3200, 64_000, (RIGHT, RIGHT)),
]


def test_a_row_is_a_cell_or_a_margin() -> None:
    rows = {(row["type"], row["age"]): row for row in summarise(RUNS)}
    assert set(rows) == {
        ("all", "all"),
        *(("colour", "all"), ("all", "1h"), ("colour", "1h")),
        *(("seen", "all"), ("all", "whole"), ("seen", "whole")),
    }
    whole = rows["all", "all"]
    assert (whole["n"], whole["accuracy"], whole["recall_at_k"]) == (5, 0.8, 0.75)
    assert (whole["context"], whole["h_factor"], whole["k"]) == ("bilevel", 16, 4)
    assert (whole["tokens_per_chunk"], whole["ttft_ms"]) == (2.0, 20.0)
    assert whole["index_bytes_per_chunk"] == 100
    assert whole["archive_bytes_per_chunk"] == 1500
    assert rows["seen", "whole"]["recall_at_k"] is None


def test_lengths_are_told_apart() -> None:
    longer = replace(RUNS[0], chunks=64)
    rows = [row for row in summarise([*RUNS, longer]) if row["type"] == row["age"]]
    assert [(row["chunks"], row["n"]) for row in rows] == [(32, 5), (64, 3)]


def test_the_interval_is_as_wide_as_streams_differ() -> None:
    assert interval([[True, False]] * 40) == [0.5, 0.5]
    low, high = interval([[True] * 2, [False] * 2] * 20)
    assert 0.3 < low < 0.4
    assert 0.6 < high < 0.7


def test_margins_come_with_their_questions() -> None:
    margins = {"all": 5, "colour": 4, "seen": 1, "age 1h": 4, "age whole": 1}
    assert margins_of(summarise(RUNS)) == margins


def test_a_table_is_printed_with_what_stands_beside_the_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = {"full_tokens_per_chunk": 84, "full_bytes_per_chunk": 20_000}
    show({"rows": summarise(RUNS), **full})
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "bilevel" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:6] == ["bilevel k=4", "2.0", "20", "75", "67-100", "80"]
    assert "100 bytes in the index and 1,500 in the archive; with its index" in said


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.json.part"
    partial = Partial(path, {"split": "test"})
    partial.add(RUNS[0], "abc")
    with path.open("a") as file:
        file.write('{"commit": "abc", "run": {"se')  # killed while it wrote
    again = Partial(path, {"split": "test"})
    assert again.runs == RUNS[:1]
    assert again.done == {(300_000, 32)}
    again.add(RUNS[1], "def")
    last = Partial(path, {"split": "test"})
    assert last.runs == RUNS
    assert last.commits == {"abc", "def"}
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_other_measurements_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.json.part"
    Partial(path, {"split": "test"}).add(RUNS[0], "abc")
    with pytest.raises(ValueError, match="other measurements"):
        Partial(path, {"split": "validation"})
