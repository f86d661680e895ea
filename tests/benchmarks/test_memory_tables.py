"""The tables of what memory costs say what was measured."""

from typing import Any

from benchmarks.memory_tables import (
    age_table,
    archive_table,
    index_table,
    shape_table,
)

FACTS: dict[str, Any] = {
    "command": "python -m benchmarks.it",
    "machine": "one core",
    "versions": {"torch": "2"},
    "commit": "abc",
    "threads": 1,
}


def cells_of(table: str) -> dict[str, list[str]]:
    """Give the cells behind the first one of each line, by that."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in rows}


def age(name: str, first_token_ms: float, found: float) -> dict[str, Any]:
    return {
        "age": name,
        "chunks": 8640,
        "questions": 27,
        "right": 0.5,
        "found_at_1": found,
        "found_at_4": found,
        "flat_found_at_1": 0.75,
        "flat_found_at_4": 1.0,
        "first_token_ms": first_token_ms,
        "first_token_steps_ms": dict.fromkeys(
            ("coverage", "relevance", "descent", "fetch", "rehydrate", "first_token"),
            1.5,
        ),
        "context_tokens": 4000.0,
        "resident_tokens": 3900,
        "resident_nodes": {"day": 6, "chunk": 98},
        "index_bytes": 1_000_000,
        "process_bytes": 2_000_000_000,
        "archive_bytes": 3_000,
        "lows_retired": 12_345,
        "chunks_per_s": 200.5,
    }


def test_a_memory_is_compared_with_what_it_was_after_an_hour():
    table = age_table(
        FACTS
        | {"days": 30.0, "seed": 0, "resident_tokens": 4096, "archive_bytes": 6e9}
        | {"top_k": 4, "rows": [age("1h", 50, 1.0), age("30d", 75, 0.9)]}
    )
    assert "1.50 times as long" in table
    assert "--days 30`, seed 0" in table
    cells = cells_of(table)
    assert cells["right chunk in 4, two stages"] == ["100 %", "90 %"]
    assert cells["right chunk in 4, flat scan"] == ["100 %", "100 %"]
    assert cells["first token"] == ["50 ms", "75 ms"]
    assert cells["nodes resident"] == ["6 day, 98 chunk"] * 2
    assert cells["L-KV retired"] == ["12,345"] * 2


def test_a_larger_shape_is_told_up_to_the_model():
    row = {
        "age": "6h",
        "chunks": 2160,
        "indexed": 2000,
        "found_at_1": 1.0,
        "until_model_ms": 1266.9,
        "steps_ms": {"coverage": 0.1, "rehydrate": 1101.1},
        "context_tokens": 15005.5,
        "resident_nodes": {"hour": 5},
        "process_bytes": 3_850_000_000,
        "archive_bytes": 6_400_000_000,
        "lows_retired": 1904,
        "chunks_per_s": 8.5,
    }
    table = shape_table(
        FACTS
        | {"shape": "tiny", "days": 0.25, "seed": 0, "resident_tokens": 16384}
        | {"archive_bytes": 6_000_000_000, "rows": [row]}
    )
    cells = cells_of(table)
    assert cells["all up to the model"] == ["1,267 ms"]
    assert cells["- rehydrate"] == ["1,101.1 ms"]
    assert cells["remembered"] == ["2,000"]
    assert "--shape tiny --days 0.25" in table


def test_a_scan_is_told_by_its_steps():
    times = {"marks_ms": 20.5, "marks_least_ms": 18.0, "short list_ms": 1.0}
    row = {"name": "built-in", "chunks": 100_000, "fine keys_ms": 7.5, **times}
    table = index_table(FACTS | {"rows": [row]})
    assert "100,000 chunks" in table
    assert cells_of(table)["built-in"] == ["20.5 ms", "18 ms", "1 ms", "7.5 ms"]


def way(name: str, put: float, get: float) -> dict[str, Any]:
    rates = {"put_mb_per_s": 100.4, "get_mb_per_s": 300.2}
    return {"way": name, **rates, "put_ratio": put, "get_ratio": get}


def test_the_archive_is_told_by_rates_bytes_and_a_restart():
    rates = {"shape": "tiny", "numbers": "int8", "blob_bytes": 5000, "in_flight": 8}
    clip = {"side": 64, "fps": 2, "bytes_per_s": 1000.0}
    stored = {"numbers": "int8", "bytes_per_s": 2500.0, "times_h264_64_px_2_fps": 2.5}
    table = archive_table(
        FACTS
        | {"server": {"kind": "embedded Valkey"}}
        | {"rates": [rates | {"ways": [way("ours", 1, 1), way("raw", 0.91, 0.7)]}]}
        | {
            "video": {
                "chunks": 30,
                "h264": {"encoder": "libx264", "crf": "23"},
                "clips": [clip],
                "rows": [stored],
            },
            "restart": {
                "chunks": 8640,
                "chunk_s": 10.0,
                "rebuild_s": 1.9,
                "bytes": 245_000_000,
                "read_s": 0.3,
            },
        }
    )
    cells = cells_of(table)
    assert cells["tiny"][:5] == ["int8", "5.0 kB", "8", "100 / 300", "0.91 / 0.70"]
    assert cells["int8"] == ["2.5 kB", "2.5"]
    assert "8,640 chunks of 10 s are there again after 1.9 s" in table
