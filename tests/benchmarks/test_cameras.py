from tiny_model import make_model

from benchmarks.cameras import measure


def test_each_number_of_cameras_is_measured_both_ways() -> None:
    rows = measure(make_model(), (1, 3), 1)
    assert [(row["cameras"], row["batch"]) for row in rows] == [(1, 1), (3, 3)]
    for row in rows:
        assert row["frames_per_s_one_by_one"] > 0
        assert row["frames_per_s_side_by_side"] > 0
