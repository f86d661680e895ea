from benchmarks.index_speed import SHAPES, measure


def test_every_step_is_timed_over_all_chunks() -> None:
    row = measure(SHAPES[0], 500)
    assert row["chunks"] == 500
    assert 0 < row["marks_least_ms"] <= row["marks_ms"] < 1000
    assert 0 < row["fine keys_ms"] < 1000
    marks, fine = 3 * 2 * 32 * 2, 3 * 8 * 32 * 2
    assert row["bytes_per_chunk"] == marks + fine + 16
