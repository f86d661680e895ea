from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.coverage import coverage_of
from agent.messages import Gap, Span
from memory.kv import ChunkId


def chunk(start_s: float, end_s: float) -> ChunkId:
    return ChunkId("door", round(start_s * 1000), round(end_s * 1000))


def test_chunks_that_follow_each_other_are_one_watch() -> None:
    chunks = [chunk(10, 14), chunk(14, 18), chunk(18.4, 22)]
    found = coverage_of("door", chunks, (10, 22))
    assert found.watched == (Span("door", 10, 22),)
    assert found.gaps == ()


def test_gaps_are_told_with_their_reason() -> None:
    chunks = [chunk(10, 14), chunk(30, 34)]
    known = [Gap("door", 13, 29, "offline"), Gap("door", 29, 30, "dropped")]
    found = coverage_of("door", chunks, (0, 40), known)
    assert found.watched == (Span("door", 10, 14), Span("door", 30, 34))
    assert found.gaps == (
        Gap("door", 0, 10, "not_watched"),
        Gap("door", 14, 30, "offline"),
        Gap("door", 34, 40, "not_watched"),
    )


def test_a_gap_of_several_reasons_is_told_piece_by_piece() -> None:
    known = [
        Gap("door", 20, 30, "offline"),
        Gap("door", 30, 45, "not_started"),
        Gap("door", 30.5, 44, "not_started"),  # the same, told twice
        Gap("door", 60, 60.4, "stalled"),  # too short to be told
    ]
    found = coverage_of("door", [chunk(0, 10), chunk(70, 80)], (0, 80), known)
    assert found.gaps == (
        Gap("door", 10, 20, "not_watched"),
        Gap("door", 20, 30, "offline"),
        Gap("door", 30, 45, "not_started"),
        Gap("door", 45, 70, "not_watched"),
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.integers(1, 30), st.sampled_from("abc")),
        max_size=10,
    )
)
def test_pieces_fill_a_gap_without_overlap(known: list[tuple[int, int, str]]) -> None:
    gaps = [Gap("door", start, start + long, kind) for start, long, kind in known]
    told = coverage_of("door", [], (10, 90), gaps).gaps
    assert (told[0].start_s, told[-1].end_s) == (10, 90)
    assert all(a.end_s == b.start_s and a.kind != b.kind for a, b in pairwise(told))
    for gap in told:
        if gap.kind != "not_watched":
            assert any(
                g.kind == gap.kind and g.start_s < gap.end_s and g.end_s > gap.start_s
                for g in gaps
            )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=9),
    st.sets(st.integers(0, 10), max_size=9),
)
def test_every_time_is_told_as_it_was(
    chunks: list[tuple[int, int]], gaps: set[int]
) -> None:
    """Nothing is too short to be told: all times are multiples of three seconds."""
    spans = sorted(chunk(3 * at, 3 * (at + long)) for at, long in chunks)
    known = [Gap("door", 9 * n, 9 * n + 9, f"reason {n}") for n in gaps]
    found = coverage_of("door", spans, (9, 81), known, most=None)
    for second in range(9, 81):
        now_s = second + 0.5
        is_watched = any(s.start_ms <= 1000 * now_s < s.end_ms for s in spans)
        assert is_watched == any(s.start_s <= now_s < s.end_s for s in found.watched)
        kinds = [gap.kind for gap in found.gaps if gap.start_s <= now_s < gap.end_s]
        why = f"reason {second // 9}" if second // 9 in gaps else "not_watched"
        assert kinds == ([] if is_watched else [why])


def test_nothing_watched_is_one_gap() -> None:
    found = coverage_of("door", [], (5, 9))
    assert found.watched == ()
    assert found.gaps == (Gap("door", 5, 9, "not_watched"),)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=20),
    st.integers(0, 100),
    st.integers(1, 100),
)
def test_watched_and_gaps_never_overlap_and_stay_in_the_window(
    pairs: list[tuple[int, int]], start: int, length: int
) -> None:
    chunks = sorted(chunk(begin, begin + long) for begin, long in pairs)
    window = (float(start), float(start + length))
    inside = [
        c for c in chunks if c.end_ms > window[0] * 1e3 and c.start_ms < window[1] * 1e3
    ]
    found = coverage_of("door", inside, window)
    parts = sorted(
        [(s.start_s, s.end_s) for s in found.watched]
        + [(g.start_s, g.end_s) for g in found.gaps]
    )
    assert all(window[0] <= a < b <= window[1] for a, b in parts)
    assert all(first[1] <= second[0] for first, second in pairwise(parts))
    covered = sum(b - a for a, b in parts)
    assert covered <= length
