import json
from dataclasses import replace

import pytest

from benchmarks.contexts import NAMES, Label
from benchmarks.rows import StreamRun, Trial, summarise
from benchmarks.tables import CONTEXTS, RESULTS, ROOT, accuracy_table, fill, path_table

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
RESULT = {
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


def test_a_table_has_a_row_per_context_and_a_column_per_margin() -> None:
    lines = accuracy_table(RESULT).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert cells[0][4:] == ["all (95 %)", "colour", "seen", "age 1h", "age whole"]
    assert cells[2][4:] == ["5", "4", "1", "4", "1"]
    assert cells[3][:4] == ["bilevel k=4", "2.0", "20 ms", "75"]
    assert cells[3][4].startswith("**80** (")
    assert cells[3][5:] == ["75", "100", "75", "100"]


def test_every_context_has_its_place() -> None:
    assert sorted(CONTEXTS) == sorted(NAMES)


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = "a <!-- t:begin -->\nold\n<!-- t:end --> z"
    assert fill(page, "t", "new") == "a <!-- t:begin -->\nnew\n<!-- t:end --> z"
    with pytest.raises(ValueError, match="no place"):
        fill(page, "other", "new")


def test_the_readme_shows_what_was_measured() -> None:
    table = path_table(json.loads((RESULTS / "path.json").read_text()))
    assert table in (ROOT / "README.md").read_text()
