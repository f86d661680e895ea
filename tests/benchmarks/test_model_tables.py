"""Tables of docs/models.md say what was measured."""

import json
from typing import Any

import pytest

from benchmarks.model_tables import change_table, decode_table
from benchmarks.tables import RESULTS, ROOT

FACTS: dict[str, Any] = {
    "command": "python -m benchmarks.x",
    "machine": "one core",
    "versions": {"torch": "2"},
    "commit": "abc",
}


def rows_of(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_clip_has_a_row_and_each_threshold_a_column() -> None:
    rows = [
        {
            "clip": clip,
            "chunks": 3,
            "least_change": least,
            "left_out": left_out,
            "prefill_ms": 200 * (1 - saved),
            "saved": saved,
        }
        for clip in ("hall", "road")
        for least, left_out, saved in ((0.0, 0.0, 0.0), (0.05, 0.6, 0.35))
    ]
    found = rows_of(change_table(FACTS | {"rows": rows}))
    assert found[0] == ["clip (chunks)", "whole", "0.05"]
    assert found[2:] == [
        ["hall (3)", "200 ms", "60 %, 35 %"],
        ["road (3)", "200 ms", "60 %, 35 %"],
    ]


def test_decode_is_told_beside_generate() -> None:
    row = {
        "model": "larger",
        "parameters": 77_100_000,
        "context_tokens": 1020,
        "ours_tokens_per_s": 20.4,
        "stock_tokens_per_s": 18.2,
        "ours_peak_bytes": 7_100_000,
        "stock_peak_bytes": 9_900_000,
        "2_questions_tokens_per_s": 31.8,
        "4_questions_tokens_per_s": 62.9,
    }
    found = rows_of(decode_table(FACTS | {"rows": [row]}))
    assert found[2] == [
        *("larger, 77.1 M", "1,020", "20", "18", "7 MB", "10 MB", "32", "63"),
    ]


@pytest.mark.parametrize(
    ("name", "write"), [("change", change_table), ("decode", decode_table)]
)
def test_the_page_has_the_table_of_the_result_that_lies_there(
    name: str, write: Any
) -> None:
    result = json.loads((RESULTS / f"{name}.json").read_text())
    assert write(result) in (ROOT / "docs" / "models.md").read_text()
