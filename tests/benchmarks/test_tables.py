import json
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.accuracy_table import CONTEXTS, accuracy_table
from benchmarks.contexts import NAMES, Label
from benchmarks.ingest_table import cameras_sentence
from benchmarks.rows import StreamRun, Trial, summarise
from benchmarks.tables import RESULT_OF, RESULTS, ROOT, TABLES, fill, path_table

RIGHT = Trial(
    Label("bilevel", 16, 2, 4),
    "colour",
    "1h",
    is_right=True,
    is_recalled=True,
    tokens=64,
    first_token_ms=20.0,
)
WRONG = replace(RIGHT, is_right=False, is_recalled=False)
ABSENT = replace(RIGHT, type="seen", age="whole", is_recalled=None)
RUNS = [
    StreamRun(200_000, 32, 3200, 32_000, (RIGHT, WRONG, ABSENT)),
    StreamRun(200_001, 32, 3200, 64_000, (RIGHT, RIGHT)),
]
RESULT: dict[str, Any] = {
    "command": "python -m benchmarks.accuracy",
    "split": "validation",
    "model": "builtin",
    "fingerprint": "abc",
    "seeds": [200_000, 200_001],
    "high": {"method": "novelty", "factor": 16.0},
    "low": {"method": "value_norm", "factor": 2.0},
    "index_keys": 16,
    "machine": "one core",
    "versions": {"torch": "2"},
    "commit": "abc",
    "chunk_s": 4.0,
    "rows": summarise(RUNS),
}


def cells_of(table: str, begin: str) -> list[list[str]]:
    """The cells of the first table behind a line that begins like this."""
    _, _, rest = table.partition(f"\n{begin}")
    lines = rest.split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_a_table_has_a_row_per_context_and_a_column_per_margin() -> None:
    cells = cells_of(accuracy_table(RESULT), "**32 chunks")
    assert cells[0][4:] == ["all (95 %)", "colour", "seen", "age 1h", "age whole"]
    assert cells[2][4:] == ["5", "4", "1", "4", "1"]
    assert cells[3][:4] == ["bilevel k=4", "2.0", "20 ms", "75"]
    assert cells[3][4:] == ["**80** (67-100)", "75 ±25", "100", "75 ±25", "100"]


def test_types_by_age_are_of_full_kv_and_the_mix() -> None:
    full = replace(RIGHT, label=Label("full", 0, 1))
    runs = [replace(RUNS[0], trials=(*RUNS[0].trials, full)), RUNS[1]]
    cells = cells_of(
        accuracy_table(RESULT | {"rows": summarise(runs)}),
        "**32 chunks by type and age**, per cent right of full / bilevel k=4",
    )
    assert cells[0] == ["type", "1h", "whole"]
    assert cells[2:] == [
        ["colour", "100 / 75 (4)", ""],
        ["seen", "", "- / 100 (1)"],
    ]


def test_what_a_chunk_costs_stands_under_its_length() -> None:
    bytes_only = "A chunk takes 100 bytes in the index and 1,500 in the archive."
    assert bytes_only in accuracy_table(RESULT).splitlines()
    full = {"full_tokens_per_chunk": 84, "full_bytes_per_chunk": 20_000}
    share = 100 * (2 / 84 + 100 / 20_000)
    told = f"with its index, the mix reads {share:.1f} % of full KV (k = 4)."
    assert told in accuracy_table(RESULT | full)


def test_the_seeds_are_told_where_the_worlds_are_told_beside_them() -> None:
    worlds = "2 worlds from 200000 to 200001"
    assert f"{worlds}, H-KV" in accuracy_table(RESULT)
    given = {"worlds": RESULT["seeds"], "seeds": [-2, 0, 1, 2]}
    assert f"{worlds} (seeds -2,0-2), H-KV" in accuracy_table(RESULT | given)


def test_now_is_taken_from_a_run_of_its_own() -> None:
    now, blind = replace(RIGHT, type="now", age="now"), Label("blind")
    result = RESULT | {"rows": summarise([replace(RUNS[0], trials=(RIGHT, now))])}
    wrong = replace(now, is_right=False)
    runs = [
        StreamRun(n, chunks, 1, 1, (now, wrong, replace(now, label=blind)))
        for n, chunks in ((0, 32), (1, 32), (2, 64))
    ]
    own = RESULT | {
        "rows": summarise(runs),
        "each": 1,
        "types": ["now"],
        "seeds": [0, 1],
        "commit": "z",
    }
    table = accuracy_table(result, own)
    cells = cells_of(table, "**32 chunks")
    assert cells[0][4:] == ["all (95 %)", "colour", "now", "age now", "age 1h"]
    assert cells[2][4:] == ["2", "1", "4", "1", "1"]
    assert [row[0] for row in cells[3:]] == ["bilevel k=4"]
    assert cells[3][4:7] == ["**100** (100-100)", "100", "50"]
    assert "64 chunks" not in table
    source = "--split validation --types now --each 1 --chunks 32 64`, 2 worlds from 0"
    assert source in table
    assert "commit z" in table
    with pytest.raises(ValueError, match="another fingerprint: other"):
        accuracy_table(result, own | {"fingerprint": "other"})


def test_every_context_has_its_place() -> None:
    assert sorted(CONTEXTS) == sorted(NAMES)


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = "a <!-- t:begin -->\nold\n<!-- t:end --> z"
    assert fill(page, "t", "new") == "a <!-- t:begin -->\nnew\n<!-- t:end --> z"
    with pytest.raises(ValueError, match="no place"):
        fill(page, "other", "new")


def test_every_table_has_its_place() -> None:
    for name, (page, _) in TABLES.items():
        assert "new" in fill((ROOT / page).read_text(), name, "new")
    assert set(RESULT_OF) <= set(TABLES)


def test_a_core_watches_whole_cameras_of_what_moves() -> None:
    rows = [("moving", "all", 7.9), ("moving", "keyframes", 50.2), ("still", "all", 9)]
    found = {
        "command": "python -m benchmarks.ingest",
        "clips": {"size": [1920, 1080], "fps": 25},
        "cpu": [
            {"clip": clip, "decoding": decoding, "cameras_per_core": cameras}
            for clip, decoding, cameras in rows
        ],
    }
    told = "A core watches 7 cameras of 1080p25 decoding everything, 50 by keyframes"
    assert cameras_sentence(found).startswith(told)


def test_the_readme_says_how_many_cameras_a_core_watches() -> None:
    page, write = TABLES["cameras-per-core"]
    result = RESULTS / f"{RESULT_OF['cameras-per-core']}.json"
    assert write(json.loads(result.read_text())) in (ROOT / page).read_text()


def test_the_readme_shows_what_was_measured() -> None:
    table = path_table(json.loads((RESULTS / "path.json").read_text()))
    assert table in (ROOT / "README.md").read_text()
