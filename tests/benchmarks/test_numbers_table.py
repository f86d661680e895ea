"""The tables of numbers in fewer bits say what was measured."""

from typing import Any

from benchmarks.numbers_table import numbers_table, written_table


def row(type: str, age: str, accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "context": "bilevel",
        "k": 4,
        "type": type,
        "age": age,
        "n": 40,
        "accuracy": accuracy,
        "recall_at_k": 0.95,
        "archive_bytes_per_chunk": 61440,
    } | more


def result(accuracy: float) -> dict[str, Any]:
    rows = [
        row("all", "all", accuracy),
        row("all", "1min", accuracy),
        row("colour", "all", accuracy),
        row("colour", "1min", 0.0),
        row("colour", "all", 0.0, k=2),
        row("colour", "all", 0.0, context="oracle"),
    ]
    return {
        "command": "python -m benchmarks.accuracy",
        "split": "test",
        "worlds": [1, 2],
        "machine": "one core",
        "commit": "abc",
        "rows": rows,
    }


def cells_of(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_way_of_writing_numbers_has_a_row_of_the_mix() -> None:
    table = numbers_table({"int4": result(0.9), "float32": result(0.93)}, 4)
    head, _, *rows = cells_of(table)
    assert head == ["numbers", "bytes a chunk", "recall@k", "all", "colour", "age 1min"]
    assert rows == [
        ["float32", "61,440", "95.0", "93.0 (40)", "93.0 (40)", "93.0 (40)"],
        ["int4", "61,440", "95.0", "90.0", "90.0", "90.0"],
    ]


def test_real_weights_have_needles_and_perplexity() -> None:
    facts = result(0.0) | {"logs": [1], "versions": {"torch": "2"}}
    found = {
        "numbers": "int8",
        "needles": 32,
        "needle_accuracy": 0.4375,
        "perplexity": 5.5671,
        "archive_bytes_per_chunk": 547598,
    }
    _, _, line = cells_of(written_table(facts | {"rows": [found]}))
    assert line == ["int8", "547,598", "43.8 (32)", "5.567"]
